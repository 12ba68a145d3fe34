//! Raw packets of a Unix socket: the floor of messages, one system call a packet.
//!
//! The calls are made as libc's are, by a function that returns. A call that stands in its caller's loop itself is what no
//! library can offer: the first return after a system call was made is mispredicted, and on some processors that costs as
//! much as half the call.

use std::io::{self, Read, Write};

use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, connect, listen, recv, send, socket_with,
};

use crate::work::Pipes;

#[derive(Clone, Debug)]
pub struct Packets {
    /// Calls that stand in their caller's loop.
    pub inlined: bool,
}

#[derive(Debug)]
pub struct Stream {
    socket: OwnedFd,
    inlined: bool,
}

#[inline(never)]
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    Ok(recv(socket, buffer, RecvFlags::empty())?.0)
}

#[inline(never)]
fn give(socket: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<usize> {
    send(socket, bytes, SendFlags::NOSIGNAL)
}

fn socket() -> io::Result<OwnedFd> {
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

impl Packets {
    fn stream(&self, socket: OwnedFd) -> Stream {
        Stream {
            socket,
            inlined: self.inlined,
        }
    }
}

impl Pipes for Packets {
    type Listener = OwnedFd;
    type Stream = Stream;

    fn bind(&self, address: &str) -> io::Result<OwnedFd> {
        let socket = socket()?;
        bind(&socket, &SocketAddrUnix::new(address)?)?;
        listen(&socket, 4096)?;
        Ok(socket)
    }

    fn accept(&self, listener: &mut OwnedFd) -> io::Result<Stream> {
        Ok(self.stream(accept_with(listener, SocketFlags::CLOEXEC)?))
    }

    fn connect(&self, address: &str) -> io::Result<Stream> {
        let socket = socket()?;
        connect(&socket, &SocketAddrUnix::new(address)?)?;
        Ok(self.stream(socket))
    }
}

impl Read for Stream {
    #[inline(always)]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(match self.inlined {
            true => recv(&self.socket, buffer, RecvFlags::empty())?.0,
            false => receive(&self.socket, buffer)?,
        })
    }
}

impl Write for Stream {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(match self.inlined {
            true => send(&self.socket, bytes, SendFlags::NOSIGNAL)?,
            false => give(&self.socket, bytes)?,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
