//! An open pipe: the handle of one end of an instance.

use std::io;
use std::os::windows::io::OwnedHandle;

use super::ahead::{Ahead, Writing};
use super::aside::{Drain, HalfClose};
use super::os;
use super::overlapped::{GivenUp, Overlapped, Waiter};
use super::peer;
use crate::error::{Fault, Reason};
use crate::identity::PeerIdentity;
use crate::info::PipeInfo;
use crate::kinds::{Part, Peek, PipeMode, Role};
use crate::lane::{Lane, Operation};
use crate::name::PipeName;

#[derive(Debug)]
pub(crate) struct Stream {
    handle: OwnedHandle,
    /// Of a pipe whose peer has no buffer to write to.
    ahead: Option<Ahead>,
}

impl Stream {
    pub(crate) fn new(handle: OwnedHandle, mode: PipeMode, unbuffered: bool) -> Stream {
        Stream {
            handle,
            ahead: unbuffered.then(|| Ahead::new(mode)),
        }
    }

    pub(super) fn handle(&self) -> &OwnedHandle {
        &self.handle
    }

    pub(super) fn into_handle(self) -> OwnedHandle {
        self.handle
    }

    /// A read that waits in the system without an OVERLAPPED: there is no such thing on an overlapped handle.
    pub(crate) fn read_blocking(&self, _buffer: &mut [u8]) -> Option<io::Result<usize>> {
        None
    }

    /// As [`read_blocking`](Stream::read_blocking).
    pub(crate) fn write_blocking(&self, _bytes: &[u8]) -> Option<io::Result<usize>> {
        None
    }

    pub(crate) fn read<'a>(
        &'a self,
        waiter: &'a Waiter,
        buffer: &'a mut [u8],
    ) -> impl Operation<Output = Part> + 'a {
        Overlapped::new(
            &self.handle,
            waiter,
            GivenUp::Harmless,
            move |handle: &OwnedHandle, overlapped| {
                if let Some(part) = self.ahead.as_ref().and_then(|ahead| ahead.take(buffer)) {
                    // SAFETY: the OVERLAPPED is this operation's, which is just beginning.
                    return Ok(unsafe { os::finish(overlapped, part) });
                }
                // SAFETY: the OVERLAPPED is this operation's, the buffer is borrowed for as long as the operation is
                // there, and that ends only once the system has let go of both.
                unsafe { os::read(handle, buffer.as_mut_ptr(), buffer.len(), overlapped) }
            },
        )
    }

    pub(crate) fn write<'a>(
        &'a self,
        waiter: &'a Waiter,
        bytes: &'a [u8],
        reading: &'a Lane<Waiter>,
    ) -> impl Operation<Output = Part> + 'a {
        let write = Overlapped::new(
            &self.handle,
            waiter,
            // Of a write that was taken in part the system reports nothing once it is cancelled.
            GivenUp::Unknown,
            move |handle: &OwnedHandle, overlapped| {
                // SAFETY: as for a read.
                unsafe { os::write(handle, bytes.as_ptr(), bytes.len(), overlapped) }
            },
        );
        let ahead = self.ahead.as_ref();
        Writing::new(
            write,
            waiter,
            ahead.map(|ahead| (&self.handle, ahead, reading)),
        )
    }

    /// Waits until the peer has read everything.
    pub(crate) fn drain<'a>(&'a self, waiter: &'a Waiter) -> Drain<'a> {
        Drain::new(&self.handle, waiter)
    }

    /// Whether a write that waits reads ahead.
    pub(crate) fn reads_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    /// Sends one message: a write is one.
    pub(crate) fn send<'a>(
        &'a self,
        waiter: &'a Waiter,
        message: &'a [u8],
        reading: &'a Lane<Waiter>,
    ) -> impl Operation<Output = Part> + 'a {
        self.write(waiter, message, reading)
    }

    /// Half close: an empty message, and on a byte pipe no such thing.
    pub(crate) fn close_write(&self, mode: PipeMode) -> io::Result<HalfClose> {
        if mode == PipeMode::Message {
            return HalfClose::start(&self.handle);
        }
        let why = "a Windows byte pipe has no half close: drop the stream, use a message pipe, \
                   or end what you send with a mark of its own";
        Err(Fault::new(Reason::NotHere, why).into())
    }

    pub(crate) fn disconnect(&self) -> io::Result<()> {
        match os::disconnect(&self.handle) {
            // The peer has gone already: there is nobody to tell.
            Err(error) if os::is_end(&error) => Ok(()),
            result => result,
        }
    }

    pub(crate) fn peek(&self) -> io::Result<Peek> {
        let pipe = os::peek(&self.handle);
        match &self.ahead {
            Some(ahead) => ahead.peek(pipe),
            None => pipe,
        }
    }

    pub(crate) fn peer_pid(&self, role: Role) -> io::Result<u32> {
        os::peer_pid(&self.handle, role == Role::Server)
    }

    pub(crate) fn peer_identity(&self, role: Role) -> io::Result<PeerIdentity> {
        peer::identity(&self.handle, role)
    }

    pub(crate) fn impersonate(&self) -> io::Result<os::Impersonation> {
        os::Impersonation::begin(&self.handle)
    }

    pub(crate) fn security(&self, _name: &PipeName) -> io::Result<String> {
        os::security(&self.handle)
    }

    pub(crate) fn info(&self, _role: Role, _mode: PipeMode) -> io::Result<PipeInfo> {
        Ok(os::local(&self.handle)?.info())
    }

    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        Ok(os::local(&self.handle)?.connected)
    }

    /// What the system knows of this handle.
    pub(crate) fn describe(&self) -> (PipeName, Role, PipeMode) {
        let local = os::local(&self.handle);
        let role = match &local {
            Ok(local) if local.server => Role::Server,
            _ => Role::Client,
        };
        let mode = match &local {
            Ok(local) => local.mode,
            Err(_) => PipeMode::Byte,
        };
        let path = os::path_of(&self.handle).unwrap_or_default();
        (PipeName::from_os(path), role, mode)
    }

    /// Whether an error says that the other side has gone: `std` has no kinds for some of Windows's.
    pub(crate) fn is_end(error: &io::Error) -> bool {
        os::is_end(error)
    }
}

#[cfg(test)]
mod tests {
    //! The path is short: what a round trip asks of the system. (`progress` asks nothing: it reads the OVERLAPPED.)

    use std::io::{Read, Write};
    use std::thread;
    use std::time::{Duration, Instant};

    use crate::sys::windows::os::calls::COUNT;
    use crate::{PipeListener, PipeStream};

    fn pair(what: &str) -> (PipeStream, PipeStream) {
        let name = format!("npipe-calls-{what}-{}", std::process::id());
        let listener = PipeListener::bind(&name).unwrap();
        let client = PipeStream::connect(&name).unwrap();
        // With a deadline set, as real programs have.
        let later = Some(Instant::now() + Duration::from_secs(60));
        client.set_deadline(later).unwrap();
        (listener.accept().unwrap(), client)
    }

    fn count(work: impl FnOnce()) -> usize {
        let before = COUNT.get();
        work();
        COUNT.get() - before
    }

    #[test]
    fn what_is_there_already_takes_one_call_to_read_and_one_to_write() {
        let (mut server, mut client) = pair("there");
        let mut word = [1; 64];
        for _ in 0..100 {
            assert_eq!(count(|| client.write_all(&word).unwrap()), 1);
            assert_eq!(count(|| server.read_exact(&mut word).unwrap()), 1);
        }
    }

    #[test]
    fn what_has_to_be_waited_for_takes_at_most_three() {
        const ROUNDS: usize = 500;
        let (mut server, mut client) = pair("waited");
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut word = [0; 64];
                while server.read_exact(&mut word).is_ok() {
                    server.write_all(&word).unwrap();
                }
            });
            let mut word = [1; 64];
            let calls = count(|| {
                for _ in 0..ROUNDS {
                    client.write_all(&word).unwrap();
                    client.read_exact(&mut word).unwrap();
                }
            });
            assert!(calls <= 4 * ROUNDS, "{calls} calls in {ROUNDS} round trips");
            drop(client);
        });
    }
}
