//! How a task connects as a client.

use std::ffi::OsStr;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use ::tokio::time::{Instant, sleep_until};

use super::stream::PipeStream;
use crate::attempt::{Attempt, Connected};
use crate::connect::{OPERATION, cancelled, judge, kind_of};
use crate::error;
use crate::name::PipeName;
use crate::options::ConnectOptions;
use crate::stream::Parts;
use crate::sys::Stream;
use crate::sys::asynchronous::AsyncConnector;

impl PipeStream {
    /// Connects to the pipe `name`, in any of the spellings of [`PipeName`], with the defaults of [`ConnectOptions`].
    ///
    /// # Errors
    ///
    /// Those of [`ConnectOptions::connect`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> std::io::Result<()> {
    /// use std::io::ErrorKind;
    /// use npipe::tokio::PipeStream;
    ///
    /// match PipeStream::connect("mypipe").await {
    ///     Ok(stream) => println!("connected to {}", stream.peer_addr()),
    ///     Err(e) if e.kind() == ErrorKind::NotFound => println!("start the server first ({e})"),
    ///     Err(e) => return Err(e),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(name: impl AsRef<OsStr>) -> io::Result<PipeStream> {
        ConnectOptions::new().connect_tokio(name).await
    }
}

impl ConnectOptions {
    /// Connects to the pipe `name`, for tokio's tasks. If the future is dropped, no connection is left.
    ///
    /// It waits on the system's events where there are any, and otherwise polls in growing intervals of 50 ms at most; no
    /// thread is blocked. The future borrows nothing of these options.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](ConnectOptions::connect).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn connect() -> std::io::Result<()> {
    /// use npipe::ConnectOptions;
    ///
    /// let stream = ConnectOptions::new()
    ///     .wait_for_server(true)
    ///     .connect_tokio("mypipe")
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_tokio<N: AsRef<OsStr>>(
        &self,
        name: N,
    ) -> impl Future<Output = io::Result<PipeStream>> + use<N> {
        let (name, options) = (PipeName::new(name), self.clone());
        async move {
            let name = name?;
            options
                .check()
                .map_err(|fault| fault.of(OPERATION, &name))?;
            let connected = connect(&name, &options).await?;
            let kind = kind_of(&connected, &options);
            PipeStream::new(Parts::new(connected.stream, kind, Arc::new(name), None))
        }
    }
}

/// Connects, waiting as `options` say.
async fn connect(name: &PipeName, options: &ConnectOptions) -> io::Result<Connected<Stream>> {
    let fail = |e| error::named(OPERATION, name, e);
    // A timeout that lies beyond what the clock can hold is none.
    let until = options
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let mut time = pin!(until.map(sleep_until));
    let mut place = options.cancel.as_ref().map(|token| token.tasks().place());
    let is_cancelled = || options.cancel.as_ref().is_some_and(|it| it.is_cancelled());
    let mut connector = AsyncConnector::new(name, options).map_err(fail)?;
    loop {
        if is_cancelled() {
            return Err(cancelled(name));
        }
        let attempt = connector.attempt().await;
        let busy = matches!(attempt, Attempt::Busy(_));
        let expired = until.is_some_and(|until| Instant::now() >= until);
        if let Some(judged) = judge(attempt, name, options, expired) {
            return judged;
        }
        let mut wait = pin!(async {
            if busy {
                connector.wait_free().await
            } else {
                connector.wait_server().await
            }
        });
        // Until there may be news, the time is up, or it is cancelled: what is so is looked at above.
        let waited = poll_fn(|cx| {
            if let Some(place) = &mut place {
                place.wait(cx.waker());
            }
            if is_cancelled() {
                return Poll::Ready(Ok(()));
            }
            if let Some(time) = time.as_mut().as_pin_mut() {
                if time.poll(cx).is_ready() {
                    return Poll::Ready(Ok(()));
                }
            }
            wait.as_mut().poll(cx)
        });
        waited.await.map_err(fail)?;
    }
}
