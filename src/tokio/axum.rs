//! axum serves a pipe: `axum::serve(listener, app)`.

use std::io;
use std::time::Duration;

use ::axum::extract::connect_info::Connected;
use ::axum::serve::{IncomingStream, Listener};

use super::peer::Peer;
use super::{PipeListener, PipeStream};
use crate::error::{PipeError, Reason};
use crate::name::PipeName;

/// How long `accept` pauses when the system has no descriptors or memory left, as axum does for its own listeners.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves a pipe. Once the listener is closed no more clients come: end the server by its graceful shutdown.
///
/// # Examples
///
/// ```no_run
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use npipe::tokio::{Peer, PipeListener};
///
/// # async fn serve() -> std::io::Result<()> {
/// let app = Router::new().route(
///     "/",
///     get(|ConnectInfo(peer): ConnectInfo<Peer>| async move { format!("hello, {:?}", peer.pid) }),
/// );
/// let listener = PipeListener::bind("mypipe")?;
/// axum::serve(listener, app.into_make_service_with_connect_info::<Peer>()).await
/// # }
/// ```
impl Listener for PipeListener {
    type Io = PipeStream;
    type Addr = PipeName;

    async fn accept(&mut self) -> (PipeStream, PipeName) {
        loop {
            match PipeListener::accept(self).await {
                Ok(stream) => {
                    let name = stream.peer_addr().clone();
                    return (stream, name);
                }
                Err(error) if is_closed(&error) => std::future::pending().await,
                Err(_) => ::tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<PipeName> {
        Ok(PipeListener::local_addr(self).clone())
    }
}

fn is_closed(error: &io::Error) -> bool {
    PipeError::of(error).is_some_and(|error| error.reason() == Reason::Closed)
}

impl Connected<IncomingStream<'_, PipeListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, PipeListener>) -> Peer {
        Peer::of(stream.io())
    }
}
