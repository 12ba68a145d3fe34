//! interprocess's local sockets, both halves.

use std::io;

use interprocess::local_socket::traits::tokio::{Listener as _, Stream as _};
use interprocess::local_socket::traits::{Listener as _, Stream as _};
use interprocess::local_socket::{
    GenericFilePath, Listener, ListenerOptions, Name, Stream, ToFsName, tokio,
};

use crate::work::Pipes;
use crate::work_async::AsyncPipes;

fn name(address: &str) -> io::Result<Name<'_>> {
    address.to_fs_name::<GenericFilePath>()
}

#[derive(Clone, Debug)]
pub struct Blocking;

impl Pipes for Blocking {
    type Listener = Listener;
    type Stream = Stream;

    fn bind(&self, address: &str) -> io::Result<Listener> {
        ListenerOptions::new().name(name(address)?).create_sync()
    }

    fn accept(&self, listener: &mut Listener) -> io::Result<Stream> {
        listener.accept()
    }

    fn connect(&self, address: &str) -> io::Result<Stream> {
        Stream::connect(name(address)?)
    }
}

#[derive(Clone, Debug)]
pub struct Async;

impl AsyncPipes for Async {
    type Listener = tokio::Listener;
    type Stream = tokio::Stream;

    fn bind(&self, address: &str) -> io::Result<tokio::Listener> {
        ListenerOptions::new().name(name(address)?).create_tokio()
    }

    async fn accept(&self, listener: &mut tokio::Listener) -> io::Result<tokio::Stream> {
        listener.accept().await
    }

    async fn connect(&self, address: &str) -> io::Result<tokio::Stream> {
        tokio::Stream::connect(name(address)?).await
    }
}
