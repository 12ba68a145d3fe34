//! std's own Unix sockets: the floor of what blocks, one system call a read and a write.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::work::Pipes;

#[derive(Clone, Debug)]
pub struct Std;

impl Pipes for Std {
    type Listener = UnixListener;
    type Stream = UnixStream;

    fn bind(&self, address: &str) -> io::Result<UnixListener> {
        UnixListener::bind(address)
    }

    fn accept(&self, listener: &mut UnixListener) -> io::Result<UnixStream> {
        Ok(listener.accept()?.0)
    }

    fn connect(&self, address: &str) -> io::Result<UnixStream> {
        UnixStream::connect(address)
    }
}
