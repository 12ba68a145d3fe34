//! An open pipe: the handle of one end of an instance.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::ahead::{Ahead, Writing};
use super::aside::{Drain, HalfClose};
use super::credit::Credit;
use super::lent::{GivenUp, Lent, Waiter};
use super::os::{self, Empties, Instance, Key};
use super::peer;
use super::queue::{Came, Open};
use crate::error::{Fault, Reason};
use crate::identity::PeerIdentity;
use crate::info::PipeInfo;
use crate::kinds::{Part, Peek, PipeMode, Role};
use crate::lane::{Beside, Operation};
use crate::name::PipeName;

const UNKNOWN: PipeInfo = PipeInfo {
    mode: PipeMode::Byte,
    instances: None,
    max_instances: None,
    input_buffer_size: None,
    output_buffer_size: None,
};

/// The most that one write of bytes gives the system, which copies it as a whole into memory that it cannot page out.
const MOST_AT_ONCE: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Stream {
    handle: OwnedHandle,
    role: Role,
    /// After the handle, which is closed by then.
    open: Option<Open>,
    /// Of a pipe whose peer has no buffer to write to. In a box, since few are.
    ahead: Option<Box<Ahead>>,
    reads_ahead: bool,
    /// It is bound to the engine's port, under this key.
    #[cfg_attr(not(any(feature = "tokio", test)), allow(dead_code))]
    engine_key: Option<Key>,
    /// As it was when the stream began.
    known: PipeInfo,
    /// An empty message was sent, or may have been: the system does not count those that are unread.
    sent_empty: AtomicBool,
    /// How much was given to the system in all.
    written: AtomicUsize,
    /// For non-blocking writes.
    credit: Credit,
}

impl Stream {
    /// A server's end, of an instance made like `making`.
    pub(super) fn accepted(came: Came, making: &Instance) -> Stream {
        let known = PipeInfo {
            mode: making.mode,
            instances: None,
            max_instances: None,
            input_buffer_size: Some(making.input_buffer_size),
            output_buffer_size: Some(making.output_buffer_size),
        };
        let unbuffered = making.input_buffer_size == 0;
        Stream {
            open: Some(came.open),
            ..Stream::fresh(came.handle, Role::Server, unbuffered, known)
        }
    }

    /// An end of which the system says `local`, if this user may know.
    pub(super) fn new(handle: OwnedHandle, role: Role, local: Option<&os::Local>) -> Stream {
        let known = PipeInfo {
            instances: None,
            ..local.map_or(UNKNOWN, os::Local::info)
        };
        let unbuffered = local.is_some_and(|local| local.unbuffered);
        Stream::fresh(handle, role, unbuffered, known)
    }

    fn fresh(handle: OwnedHandle, role: Role, unbuffered: bool, known: PipeInfo) -> Stream {
        Stream {
            handle,
            role,
            open: None,
            ahead: unbuffered.then(|| Box::new(Ahead::new(known.mode))),
            reads_ahead: unbuffered,
            engine_key: None,
            known,
            sent_empty: AtomicBool::new(false),
            written: AtomicUsize::new(0),
            credit: Credit::default(),
        }
    }

    /// One that had a life before.
    pub(super) fn adopted(handle: OwnedHandle, local: &os::Local) -> Stream {
        let stream = Stream::new(handle, local.role, Some(local));
        stream.sent_empty.store(true, Ordering::Relaxed);
        // Nobody knows what is unread of what it wrote then.
        stream.written.store(usize::MAX / 2, Ordering::Relaxed);
        stream
    }

    pub(crate) fn mode(&self) -> PipeMode {
        self.known.mode
    }

    pub(super) fn handle(&self) -> &OwnedHandle {
        &self.handle
    }

    pub(super) fn into_handle(self) -> OwnedHandle {
        // The instance goes on for as long as somebody has the handle, which nobody will tell.
        std::mem::forget(self.open);
        self.handle
    }

    /// Whether something was read ahead that nobody has taken yet.
    pub(super) fn has_read_ahead(&self) -> bool {
        self.ahead.as_ref().is_some_and(|ahead| !ahead.is_empty())
    }

    pub(crate) fn read<'a>(
        &'a self,
        waiter: &'a Waiter,
        buffer: &'a mut [u8],
    ) -> impl Operation<Output = Part> + 'a {
        Lent::new(
            &self.handle,
            waiter,
            GivenUp::Harmless,
            move |handle: &OwnedHandle, overlapped| {
                if let Some(part) = self.ahead.as_ref().and_then(|ahead| ahead.take(buffer)) {
                    // SAFETY: the OVERLAPPED is this operation's, which is just beginning.
                    return Ok(unsafe { os::finish(overlapped, part) });
                }
                // SAFETY: the OVERLAPPED is this operation's, the buffer is borrowed for as long as the operation is
                // there, and that ends only once the system has released both.
                unsafe { os::read(handle, buffer.as_mut_ptr(), buffer.len(), overlapped) }
            },
        )
    }

    pub(crate) fn write<'a>(
        &'a self,
        waiter: &'a Waiter,
        bytes: &'a [u8],
        reading: Beside<'a, Waiter>,
    ) -> impl Operation<Output = Part> + 'a {
        let bytes = &bytes[..bytes.len().min(MOST_AT_ONCE)];
        self.write_once(waiter, bytes, None, reading)
    }

    /// One write of the system's.
    fn write_once<'a>(
        &'a self,
        waiter: &'a Waiter,
        bytes: &'a [u8],
        message: Option<usize>,
        reading: Beside<'a, Waiter>,
    ) -> impl Operation<Output = Part> + 'a {
        // In the writing turn: nobody else counts.
        let written = self.written.load(Ordering::Relaxed);
        let all = written.wrapping_add(bytes.len());
        self.written.store(all, Ordering::Relaxed);
        let write = Lent::new(
            &self.handle,
            waiter,
            match bytes.len() {
                // There is no part of it that could have gone.
                0 | 1 => GivenUp::Harmless,
                // Of a write that was taken in part the system reports nothing once it is cancelled.
                _ => GivenUp::Unknown,
            },
            move |handle: &OwnedHandle, overlapped| {
                // SAFETY: as for a read.
                unsafe { os::write(handle, bytes.as_ptr(), bytes.len(), overlapped) }
            },
        );
        let ahead = self.ahead.as_deref().filter(|_| self.reads_ahead);
        Writing::new(
            write,
            message,
            waiter,
            ahead.map(|ahead| (&self.handle, ahead, reading)),
        )
    }

    /// Whether one may be among what is unread: of those that were read nobody tells.
    fn empties(&self) -> Empties {
        match self.sent_empty.load(Ordering::Relaxed) {
            true => Empties::Some,
            false => Empties::None,
        }
    }

    /// Waits until the peer has read everything.
    pub(crate) fn drain<'a>(&'a self, waiter: &'a Waiter) -> Drain<'a> {
        Drain::new(&self.handle, waiter, self.empties())
    }

    /// How much of `wanted` bytes, or whether a message of so many (all or nothing), may be tried on a non-blocking stream.
    pub(crate) fn room(&self, wanted: usize) -> io::Result<usize> {
        let written = self.written.load(Ordering::Relaxed);
        let room = match self.credit.room(&self.handle, written) {
            // The write will tell.
            Err(error) if os::is_end(&error) => return Ok(wanted),
            room => room?,
        };
        Ok(match self.known.mode {
            PipeMode::Byte => wanted.min(room),
            PipeMode::Message if wanted <= room => wanted,
            PipeMode::Message => 0,
        })
    }

    /// Whether a write that waits reads ahead.
    pub(crate) fn reads_ahead(&self) -> bool {
        self.reads_ahead
    }

    /// Sends one message: a write is one.
    pub(crate) fn send<'a>(
        &'a self,
        waiter: &'a Waiter,
        message: &'a [u8],
        reading: Beside<'a, Waiter>,
    ) -> impl Operation<Output = Part> + 'a {
        if message.is_empty() {
            self.sent_empty.store(true, Ordering::Relaxed);
        }
        self.write_once(waiter, message, Some(message.len()), reading)
    }

    /// Half close: an empty message, and on a byte pipe no such thing.
    pub(crate) fn close_write(&self) -> io::Result<HalfClose> {
        if self.known.mode == PipeMode::Message {
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
        let pipe = match os::peek(&self.handle, self.known.mode) {
            // The peer has gone, and nothing is left of it; or this side has cut it off.
            Err(error) if os::is_end(&error) => Ok(Peek {
                ended: true,
                ..Peek::default()
            }),
            pipe => pipe,
        };
        match &self.ahead {
            Some(ahead) => ahead.peek(pipe),
            None => pipe,
        }
    }

    pub(crate) fn peer_pid(&self) -> io::Result<u32> {
        os::peer_pid(&self.handle, self.role)
    }

    pub(crate) fn peer_identity(&self) -> io::Result<PeerIdentity> {
        peer::identity(&self.handle, self.role)
    }

    pub(crate) fn impersonate(&self) -> io::Result<os::Impersonation> {
        os::Impersonation::begin(&self.handle)
    }

    /// (On Unix it is a file's, which only the name leads to; here the handle tells.)
    pub(crate) fn security(&self, _: &PipeName) -> io::Result<String> {
        os::security(&self.handle)
    }

    pub(crate) fn info(&self) -> io::Result<PipeInfo> {
        match os::local(&self.handle) {
            Ok(local) => Ok(local.info()),
            // Of a pipe without its other end the system may tell nothing more.
            Err(error) if os::is_end(&error) => Ok(self.known.clone()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        Ok(os::local(&self.handle)?.connected)
    }

    /// What the system knows of this handle.
    pub(crate) fn describe(&self) -> (PipeName, Role, PipeMode) {
        let path = os::path_of(&self.handle).unwrap_or_default();
        (PipeName::from_os(path), self.role, self.known.mode)
    }
}

/// What the engine asks for.
#[cfg(any(feature = "tokio", test))]
impl Stream {
    pub(super) fn engine_key(&self) -> Option<Key> {
        self.engine_key
    }

    pub(super) fn set_engine_key(&mut self, key: Key) {
        self.engine_key = Some(key);
    }

    /// What was read ahead, in pieces, each with whether a message ends there.
    pub(super) fn take_kept(&self) -> Vec<(Vec<u8>, bool)> {
        self.ahead
            .as_deref()
            .map(Ahead::take_all)
            .unwrap_or_default()
    }

    /// Puts it back, for the next reads.
    pub(super) fn keep(&mut self, pieces: Vec<(Vec<u8>, bool)>) {
        if !pieces.is_empty() {
            let mode = self.mode();
            self.ahead
                .get_or_insert_with(|| Box::new(Ahead::new(mode)))
                .keep(pieces);
        }
    }

    /// Whether the peer has read everything, where the system can tell.
    pub(super) fn is_drained(&self) -> bool {
        super::aside::is_drained(&self.handle, self.empties())
    }

    /// An empty message is sent.
    pub(super) fn note_empty(&self) {
        self.sent_empty.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    //! The path is short: what a round trip asks of the system. (`progress` asks nothing: it reads the OVERLAPPED.)

    use std::io::{Read, Write};
    use std::thread;
    use std::time::{Duration, Instant};

    use crate::sys::windows::os::Empties;
    use crate::sys::windows::os::calls::COUNT;
    use crate::{ListenOptions, PipeListener, PipeStream};

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
    fn an_empty_message_that_was_sent_is_remembered() {
        let name = format!("npipe-empties-{}", std::process::id());
        let listener = ListenOptions::new().message_mode(true).bind(&name).unwrap();
        let client = PipeStream::connect(&name).unwrap();
        let _server = listener.accept().unwrap();
        client.send(b"x").unwrap();
        assert_eq!(client.io().empties(), Empties::None);
        client.send(b"").unwrap();
        assert_eq!(client.io().empties(), Empties::Some);
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
