//! hyper's and tonic's clients over a pipe: `PipeConnector`.

use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tower_service::Service;

use super::PipeStream;
use crate::error::{Fault, Reason};
use crate::options::ConnectOptions;

impl Connection for PipeStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// Connects hyper's and tonic's clients to a pipe: always the same one, or the one that the URI names.
///
/// # Examples
///
/// ```no_run
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use npipe::tokio::PipeConnector;
///
/// # async fn get() -> Result<(), Box<dyn std::error::Error>> {
/// let client: Client<_, Empty<Bytes>> =
///     Client::builder(TokioExecutor::new()).build(PipeConnector::new("mypipe"));
/// let answer = client.get("http://localhost/hello".parse()?).await?;
/// println!("{}", answer.status());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PipeConnector {
    /// None: the URI's.
    name: Option<OsString>,
    options: ConnectOptions,
}

impl PipeConnector {
    /// Every connection goes to the pipe `name`, in any of the spellings of [`PipeName`](crate::PipeName), whatever host a
    /// URI names. With a wrong name every connection fails.
    pub fn new(name: impl AsRef<OsStr>) -> PipeConnector {
        PipeConnector {
            name: Some(name.as_ref().to_owned()),
            options: ConnectOptions::new(),
        }
    }

    /// Each connection goes to the pipe that its URI names: `npipe://NAME/path`. Other schemes are refused, and names that
    /// a URI's host cannot hold have to go by [`new`](PipeConnector::new).
    pub fn from_uri() -> PipeConnector {
        PipeConnector {
            name: None,
            options: ConnectOptions::new(),
        }
    }

    /// How to connect. Default: [`ConnectOptions::new`].
    pub fn options(self, options: ConnectOptions) -> PipeConnector {
        PipeConnector { options, ..self }
    }

    fn name_for(&self, uri: &Uri) -> io::Result<OsString> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        match (uri.scheme_str(), uri.host()) {
            (Some(scheme), Some(host))
                if scheme.eq_ignore_ascii_case("npipe") && !host.is_empty() =>
            {
                Ok(host.into())
            }
            _ => {
                let why = "the URI names no pipe: npipe://NAME/path does";
                Err(Fault::new(Reason::WrongName, why).of("connect", uri))
            }
        }
    }
}

impl Service<Uri> for PipeConnector {
    type Response = TokioIo<PipeStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<PipeStream>>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let name = self.name_for(&uri);
        let options = self.options.clone();
        Box::pin(async move { options.connect_tokio(name?).await.map(TokioIo::new) })
    }
}
