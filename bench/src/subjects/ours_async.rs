//! npipe's async half.

use std::io;
use std::time::Duration;

use npipe::ConnectOptions;
use npipe::tokio::{PipeListener, PipeStream};

use crate::work_async::AsyncPipes;

#[derive(Clone, Debug)]
pub struct Async;

impl AsyncPipes for Async {
    type Listener = PipeListener;
    type Stream = PipeStream;

    fn bind(&self, address: &str) -> io::Result<PipeListener> {
        PipeListener::bind(address)
    }

    async fn accept(&self, listener: &mut PipeListener) -> io::Result<PipeStream> {
        listener.accept().await
    }

    async fn connect(&self, address: &str) -> io::Result<PipeStream> {
        let options = ConnectOptions::new().timeout(Duration::from_secs(30));
        options.connect_tokio(address).await
    }
}
