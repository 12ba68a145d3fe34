//! std's own Unix sockets: the floor of what blocks, one system call a read and a write.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use crate::work::Pipes;

#[derive(Clone, Debug)]
pub struct Std {
    /// Calls that do not wait, made again and again: the floor of what polls busily.
    pub spins: bool,
}

#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    spins: bool,
}

impl Std {
    fn stream(&self, socket: UnixStream) -> io::Result<Stream> {
        if self.spins {
            socket.set_nonblocking(true)?;
        }
        Ok(Stream {
            socket,
            spins: self.spins,
        })
    }
}

impl Pipes for Std {
    type Listener = UnixListener;
    type Stream = Stream;

    fn bind(&self, address: &str) -> io::Result<UnixListener> {
        UnixListener::bind(address)
    }

    fn accept(&self, listener: &mut UnixListener) -> io::Result<Stream> {
        self.stream(listener.accept()?.0)
    }

    fn connect(&self, address: &str) -> io::Result<Stream> {
        self.stream(UnixStream::connect(address)?)
    }
}

fn spin<T>(spins: bool, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut tries = 0;
    loop {
        match call() {
            Err(error) if spins && error.kind() == ErrorKind::WouldBlock => tries += 1,
            done => return done,
        }
        // Whoever has no turn leaves the core to the others.
        if tries > 10_000 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        spin(self.spins, || self.socket.read(buffer))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        spin(self.spins, || self.socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
