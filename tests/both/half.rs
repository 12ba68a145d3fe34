//! The two halves of the library behind one face: blocking calls as they are, and async ones that a thread waits for.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::ops::Deref;

use npipe::{ConnectOptions, ListenOptions, Part, Peek, PipeInfo, PipeMode, PipeName, Role};

use crate::common::name;

/// An open pipe.
pub trait End: Debug + Send + Sync {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn flush(&self) -> io::Result<()>;
    fn send(&self, message: &[u8]) -> io::Result<()>;
    fn recv(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>>;
    fn recv_part(&self, buffer: &mut [u8]) -> io::Result<Part>;
    fn transact(&self, request: &[u8], reply: &mut Vec<u8>) -> io::Result<Option<usize>>;
    fn close_write(&self) -> io::Result<()>;
    fn wait_drained(&self) -> io::Result<()>;
    fn disconnect(&self) -> io::Result<()>;
    fn peek(&self) -> io::Result<Peek>;
    fn is_connected(&self) -> io::Result<bool>;
    fn info(&self) -> io::Result<PipeInfo>;
    fn peer_pid(&self) -> io::Result<u32>;
    fn security_descriptor(&self) -> io::Result<String>;
    fn mode(&self) -> PipeMode;
    fn role(&self) -> Role;
    fn local_addr(&self) -> PipeName;
    fn peer_addr(&self) -> PipeName;
}

/// A name that is held.
pub trait Door: Debug + Send + Sync {
    fn accept(&self) -> io::Result<Stream>;
    /// The next one of `incoming()`.
    fn next(&self) -> Option<io::Result<Stream>>;
    fn close(&self);
    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))] // of message pipes
    fn mode(&self) -> PipeMode;
    fn local_addr(&self) -> PipeName;
    fn security_descriptor(&self) -> io::Result<String>;
}

/// A half of the library.
pub trait Half: Sync {
    fn bind_with(&self, options: &ListenOptions, name: &OsStr) -> io::Result<Listener>;
    fn connect_with(&self, options: &ConnectOptions, name: &OsStr) -> io::Result<Stream>;
}

impl dyn Half + '_ {
    pub fn bind(&self, name: impl AsRef<OsStr>) -> io::Result<Listener> {
        self.bind_with(&ListenOptions::new(), name.as_ref())
    }

    pub fn listen(&self, options: ListenOptions, name: impl AsRef<OsStr>) -> io::Result<Listener> {
        self.bind_with(&options, name.as_ref())
    }

    pub fn connect(&self, name: impl AsRef<OsStr>) -> io::Result<Stream> {
        self.connect_with(&ConnectOptions::new(), name.as_ref())
    }

    pub fn dial(&self, options: ConnectOptions, name: impl AsRef<OsStr>) -> io::Result<Stream> {
        self.connect_with(&options, name.as_ref())
    }

    /// A listener, the server's end and the client's end of a new pipe.
    pub fn pair(&self, what: &str) -> (Listener, Stream, Stream) {
        let listener = self.bind(name(what)).unwrap();
        let (server, client) = self.pair_on(&listener);
        (listener, server, client)
    }

    #[cfg_attr(not(any(windows, target_os = "linux")), allow(dead_code))] // of message pipes
    pub fn messages(&self, what: &str) -> (Listener, Stream, Stream) {
        let options = ListenOptions::new().message_mode(true);
        let listener = self.listen(options, name(what)).unwrap();
        let (server, client) = self.pair_on(&listener);
        (listener, server, client)
    }

    pub fn pair_on(&self, listener: &Listener) -> (Stream, Stream) {
        let client = self.connect(listener.local_addr()).unwrap();
        (listener.accept().unwrap(), client)
    }
}

#[derive(Debug)]
pub struct Stream(pub Box<dyn End>);

#[derive(Debug)]
pub struct Listener(pub Box<dyn Door>);

impl Deref for Stream {
    type Target = dyn End;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Deref for Listener {
    type Target = dyn Door;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The blocking half.
pub struct Blocking;

impl Half for Blocking {
    fn bind_with(&self, options: &ListenOptions, name: &OsStr) -> io::Result<Listener> {
        Ok(Listener(Box::new(options.bind(name)?)))
    }

    fn connect_with(&self, options: &ConnectOptions, name: &OsStr) -> io::Result<Stream> {
        Ok(Stream(Box::new(options.connect(name)?)))
    }
}

impl Door for npipe::PipeListener {
    fn accept(&self) -> io::Result<Stream> {
        Ok(Stream(Box::new(self.accept()?)))
    }

    fn next(&self) -> Option<io::Result<Stream>> {
        let next = self.incoming().next()?;
        Some(next.map(|stream| Stream(Box::new(stream))))
    }

    fn close(&self) {
        self.close();
    }

    fn mode(&self) -> PipeMode {
        self.mode()
    }

    fn local_addr(&self) -> PipeName {
        self.local_addr().clone()
    }

    fn security_descriptor(&self) -> io::Result<String> {
        self.security_descriptor()
    }
}

impl End for npipe::PipeStream {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut &*self, buffer)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        Write::flush(&mut &*self)
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        self.send(message)
    }

    fn recv(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
        self.recv(message)
    }

    fn recv_part(&self, buffer: &mut [u8]) -> io::Result<Part> {
        self.recv_part(buffer)
    }

    fn transact(&self, request: &[u8], reply: &mut Vec<u8>) -> io::Result<Option<usize>> {
        self.transact(request, reply)
    }

    fn close_write(&self) -> io::Result<()> {
        self.close_write()
    }

    fn wait_drained(&self) -> io::Result<()> {
        self.wait_drained()
    }

    fn disconnect(&self) -> io::Result<()> {
        self.disconnect()
    }

    fn peek(&self) -> io::Result<Peek> {
        self.peek()
    }

    fn is_connected(&self) -> io::Result<bool> {
        self.is_connected()
    }

    fn info(&self) -> io::Result<PipeInfo> {
        self.info()
    }

    fn peer_pid(&self) -> io::Result<u32> {
        self.peer_pid()
    }

    fn security_descriptor(&self) -> io::Result<String> {
        self.security_descriptor()
    }

    fn mode(&self) -> PipeMode {
        self.mode()
    }

    fn role(&self) -> Role {
        self.role()
    }

    fn local_addr(&self) -> PipeName {
        self.local_addr().clone()
    }

    fn peer_addr(&self) -> PipeName {
        self.peer_addr().clone()
    }
}
