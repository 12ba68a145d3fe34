//! Raw packets of a Unix socket: the floor of messages, one system call a packet.

use std::io::{self, Read, Write};

use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, connect, listen, recv, send, socket_with,
};

use crate::work::Pipes;

#[derive(Clone, Debug)]
pub struct Packets;

#[derive(Debug)]
pub struct Stream(OwnedFd);

fn socket() -> io::Result<OwnedFd> {
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
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
        Ok(Stream(accept_with(listener, SocketFlags::CLOEXEC)?))
    }

    fn connect(&self, address: &str) -> io::Result<Stream> {
        let socket = socket()?;
        connect(&socket, &SocketAddrUnix::new(address)?)?;
        Ok(Stream(socket))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(&self.0, buffer, RecvFlags::empty())?.0)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(&self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
