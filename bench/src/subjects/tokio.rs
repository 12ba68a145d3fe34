//! tokio's own: its Unix sockets, or its named pipe as its documentation uses it.

#[derive(Clone, Debug)]
pub struct Tokio;

#[cfg(unix)]
mod unix {
    use std::io;

    use super::Tokio;
    use crate::work_async::AsyncPipes;

    impl AsyncPipes for Tokio {
        type Listener = tokio::net::UnixListener;
        type Stream = tokio::net::UnixStream;

        fn bind(&self, address: &str) -> io::Result<Self::Listener> {
            tokio::net::UnixListener::bind(address)
        }

        async fn accept(&self, listener: &mut Self::Listener) -> io::Result<Self::Stream> {
            Ok(listener.accept().await?.0)
        }

        async fn connect(&self, address: &str) -> io::Result<Self::Stream> {
            tokio::net::UnixStream::connect(address).await
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio::net::windows::named_pipe::{
        ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions,
    };
    use windows_sys::Win32::Foundation::ERROR_PIPE_BUSY;

    use super::Tokio;
    use crate::work_async::AsyncPipes;

    #[derive(Debug)]
    pub enum Stream {
        Server(NamedPipeServer),
        Client(NamedPipeClient),
    }

    impl AsyncPipes for Tokio {
        /// The instance that waits for the next client, and its address.
        type Listener = (NamedPipeServer, String);
        type Stream = Stream;

        fn bind(&self, address: &str) -> io::Result<Self::Listener> {
            let first = ServerOptions::new()
                .first_pipe_instance(true)
                .create(address)?;
            Ok((first, address.to_owned()))
        }

        async fn accept(&self, listener: &mut Self::Listener) -> io::Result<Stream> {
            let (server, address) = listener;
            server.connect().await?;
            // The next one is made before this one is served, as tokio's documentation has it.
            let next = ServerOptions::new().create(&*address)?;
            Ok(Stream::Server(std::mem::replace(server, next)))
        }

        async fn connect(&self, address: &str) -> io::Result<Stream> {
            loop {
                match ClientOptions::new().open(address) {
                    Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY as i32) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    opened => return opened.map(Stream::Client),
                }
            }
        }
    }

    impl AsyncRead for Stream {
        fn poll_read(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            match self.get_mut() {
                Stream::Server(pipe) => Pin::new(pipe).poll_read(context, buffer),
                Stream::Client(pipe) => Pin::new(pipe).poll_read(context, buffer),
            }
        }
    }

    impl AsyncWrite for Stream {
        fn poll_write(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            match self.get_mut() {
                Stream::Server(pipe) => Pin::new(pipe).poll_write(context, bytes),
                Stream::Client(pipe) => Pin::new(pipe).poll_write(context, bytes),
            }
        }

        fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.get_mut() {
                Stream::Server(pipe) => Pin::new(pipe).poll_flush(context),
                Stream::Client(pipe) => Pin::new(pipe).poll_flush(context),
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.get_mut() {
                Stream::Server(pipe) => Pin::new(pipe).poll_shutdown(context),
                Stream::Client(pipe) => Pin::new(pipe).poll_shutdown(context),
            }
        }
    }
}
