//! One end of a connection: a pipe, a TCP socket, a program, or our own stdin and stdout.

use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use npipe::{PipeMode, PipeStream};

use crate::failure::{self, Failure};
use crate::mux::channel::Channel;
use crate::options::Framing;
use crate::program::Running;
use crate::stdin::{self, BUFFER, Feed};
use crate::stdout::Output;
use crate::tcp;
use crate::threads::STACK;

/// What is read at once at first.
const LEAST: usize = 4 * 1024;

/// One thread may read from it while another writes.
#[derive(Debug)]
pub enum End {
    Pipe(PipeStream),
    Tcp(TcpStream),
    Program(Running),
    /// A connection among others through one program.
    Mux(Box<Channel>),
    Own(Own),
}

/// Our own stdin and stdout.
#[derive(Debug)]
pub struct Own {
    /// None: stdin as it is. Else as one client after another gets it.
    feed: Option<Arc<Feed>>,
    output: Mutex<Output>,
    framing: Option<Framing>,
}

/// Whether the other side could be told that nothing more will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfClose {
    Done,
    /// There is no such thing here, short of closing the whole.
    Impossible,
}

impl End {
    /// What comes, on a thread of its own, `ahead` pieces of it at the most: not everything that can be read from has a limit
    /// for it.
    pub fn parts(
        self: &Arc<End>,
        messages: bool,
        ahead: usize,
    ) -> failure::Result<Receiver<io::Result<Vec<u8>>>> {
        let (give, parts) = mpsc::sync_channel(ahead);
        let end = self.clone();
        let read = move || {
            let mut buffer = Vec::new();
            loop {
                let part = match end.read(messages, &mut buffer) {
                    Ok(None) => return,
                    Ok(Some(length)) => Ok(buffer[..length].to_vec()),
                    Err(error) => Err(error),
                };
                let failed = part.is_err();
                if give.send(part).is_err() || failed {
                    return;
                }
            }
        };
        thread::Builder::new()
            .stack_size(STACK)
            .spawn(read)
            .map_err(|e| Failure::io("start a thread", &e))?;
        Ok(parts)
    }

    pub fn stdio(framing: Option<Framing>) -> failure::Result<End> {
        End::own(None, framing)
    }

    /// Stdio, whose input goes to one client after another.
    pub fn shared(feed: Arc<Feed>, framing: Option<Framing>) -> failure::Result<End> {
        End::own(Some(feed), framing)
    }

    fn own(feed: Option<Arc<Feed>>, framing: Option<Framing>) -> failure::Result<End> {
        Ok(End::Own(Own {
            feed,
            output: Output::stdout()?,
            framing,
        }))
    }

    /// Whether what passes here has boundaries.
    pub fn has_messages(&self) -> bool {
        match self {
            End::Pipe(stream) => stream.mode() == PipeMode::Message,
            End::Own(own) => own.framing.is_some(),
            End::Mux(channel) => channel.has_messages(),
            End::Tcp(_) | End::Program(_) => false,
        }
    }

    /// Reads what is there, or one whole message, to the front of `buffer`, which grows as it has to. None is the end.
    pub fn read(&self, messages: bool, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        loop {
            let read = if messages {
                self.read_message(buffer)
            } else {
                self.read_bytes(buffer)
            };
            match read {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn read_bytes(&self, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        // It grows with what comes: a thousand clients that do nothing cost little.
        if buffer.len() < LEAST {
            buffer.resize(LEAST, 0);
        }
        let mut length = match self {
            End::Pipe(stream) => { stream }.read(buffer)?,
            End::Tcp(stream) => { stream }.read(buffer)?,
            End::Program(program) => program.read(buffer)?,
            End::Mux(channel) => channel.read(buffer)?,
            End::Own(own) => match &own.feed {
                Some(feed) => feed.read(buffer)?,
                None => stdin::read(buffer)?,
            },
        };
        if length == buffer.len() && length < BUFFER {
            buffer.resize(BUFFER, 0);
            // What was written as a whole is read as one, as far as it has come. A failure comes again at the next read.
            if let End::Pipe(stream) = self {
                if stream.peek().is_ok_and(|next| next.available > 0) {
                    length += { stream }.read(&mut buffer[length..]).unwrap_or(0);
                }
            }
        }
        Ok(Some(length).filter(|&length| length > 0))
    }

    /// Goes on with a message of which a part is in `buffer`.
    pub fn read_on(&self, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        match self {
            End::Pipe(stream) => Ok(stream.recv(buffer)?.map(|_| buffer.len())),
            End::Mux(channel) => channel.recv(buffer),
            _ => Ok(Some(buffer.len())),
        }
    }

    fn read_message(&self, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        buffer.clear();
        match self {
            End::Pipe(stream) => stream.recv(buffer),
            End::Mux(channel) => channel.recv(buffer),
            End::Own(own) => match &own.feed {
                Some(feed) => feed.next(buffer),
                None => stdin::next(own.framing, buffer),
            },
            End::Tcp(_) | End::Program(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    /// Writes everything, and holds nothing back.
    pub fn write(&self, messages: bool, bytes: &[u8]) -> io::Result<()> {
        match self {
            End::Pipe(stream) if messages => stream.send(bytes),
            End::Pipe(stream) => { stream }.write_all(bytes),
            End::Tcp(stream) => { stream }.write_all(bytes),
            End::Program(program) => program.write_all(bytes),
            End::Mux(channel) if messages => channel.send(bytes),
            End::Mux(channel) => channel.write_all(bytes),
            End::Own(own) => {
                let end: &[u8] = match own.framing {
                    Some(Framing::Lines) => b"\n",
                    Some(Framing::Nul) => b"\0",
                    Some(Framing::Raw) | None => b"",
                };
                if end.is_empty() {
                    return lock(&own.output).write_all(bytes);
                }
                lock(&own.output).write_all(&[bytes, end].concat())
            }
        }
    }

    /// Nothing more will be written here, and the messages that were have the end of their source among them: a half
    /// close is an empty message, and on Unix a shutdown behind it.
    pub fn end_messages(&self) -> HalfClose {
        match self {
            #[cfg(unix)]
            End::Pipe(stream) => {
                // It fails where the peer has gone already: there is nobody to tell.
                let _ = rustix::net::shutdown(stream, rustix::net::Shutdown::Write);
                HalfClose::Done
            }
            #[cfg(windows)]
            End::Pipe(_) => HalfClose::Impossible,
            _ => self.end_write(),
        }
    }

    /// Nothing more will be written here.
    pub fn end_write(&self) -> HalfClose {
        match self {
            End::Pipe(stream) => match stream.close_write() {
                Err(e) if e.kind() == ErrorKind::Unsupported => HalfClose::Impossible,
                // The peer has gone already: there is nobody to tell.
                _ => HalfClose::Done,
            },
            End::Tcp(stream) => {
                let _ = stream.shutdown(Shutdown::Write);
                HalfClose::Done
            }
            End::Program(program) => {
                program.end_input();
                HalfClose::Done
            }
            End::Mux(channel) => {
                channel.end();
                HalfClose::Done
            }
            End::Own(own) if own.feed.is_none() => {
                if lock(&own.output).close() {
                    HalfClose::Done
                } else {
                    HalfClose::Impossible
                }
            }
            // The next client has something to say there.
            End::Own(_) => HalfClose::Impossible,
        }
    }

    /// Whether the whole other side has gone, so that nothing written can arrive any more. For a TCP socket this is
    /// asked only after the end of what comes from there.
    pub fn is_gone(&self) -> bool {
        match self {
            // What cannot be known is not held against it.
            End::Pipe(stream) => !stream.is_connected().unwrap_or(true),
            // Writing nothing sends nothing, and fails where writing something would have to.
            End::Tcp(stream) => { stream }.write(&[]).is_err() || tcp::is_abandoned(stream),
            End::Program(program) => program.has_ended(),
            End::Mux(channel) => channel.is_gone(),
            End::Own(_) => false,
        }
    }

    /// Whether a client, of which nothing has been read, has gone.
    pub fn has_left(&self) -> bool {
        match self {
            End::Tcp(stream) => tcp::has_left(stream),
            _ => self.is_gone(),
        }
    }

    /// How long each read may take, the pending one too. None is for as long as it needs.
    pub fn set_patience(&self, patience: Option<Duration>) {
        match self {
            End::Pipe(stream) => {
                // It refuses none but zero.
                let _ = stream.set_read_timeout(patience);
            }
            End::Mux(channel) => channel.set_patience(patience),
            End::Tcp(_) | End::Program(_) | End::Own(_) => {}
        }
    }

    /// Takes back what could not be written anywhere: the next client gets it. False: nobody else comes.
    pub fn take_back(&self, bytes: &[u8]) -> bool {
        match self {
            End::Own(Own {
                feed: Some(feed), ..
            }) => {
                feed.take_back(bytes);
                true
            }
            _ => false,
        }
    }

    /// Lets a pending read end after `grace`, and all later ones. False: this cannot be done here.
    pub fn stop_reading(&self, grace: Duration) -> bool {
        match self {
            End::Pipe(stream) => stream
                .set_read_deadline(Some(Instant::now() + grace))
                .is_ok(),
            End::Tcp(stream) => stream.shutdown(Shutdown::Both).is_ok(),
            End::Own(Own {
                feed: Some(feed), ..
            }) => {
                feed.leave();
                true
            }
            End::Mux(channel) => {
                channel.stop_reading(grace);
                true
            }
            End::Program(program) => {
                program.stop();
                true
            }
            End::Own(_) => false,
        }
    }

    /// Lets a pending write, and all later ones, fail.
    pub fn stop_writing(&self) {
        match self {
            End::Pipe(stream) => {
                let _ = stream.set_write_deadline(Some(Instant::now()));
            }
            End::Tcp(stream) => {
                let _ = stream.shutdown(Shutdown::Both);
            }
            End::Mux(channel) => channel.stop_writing(),
            End::Program(_) | End::Own(_) => {}
        }
    }

    /// Reads and throws away what still comes, so that closing does not look like a failure from the other side: a
    /// socket that is closed with unread data resets its connection.
    pub fn discard(&self, buffer: &mut Vec<u8>) {
        match self {
            // A program whose output is unwanted is told by the system when it writes.
            End::Program(program) => program.close_output(),
            End::Pipe(_) | End::Tcp(_) => {
                while self.read(false, buffer).is_ok_and(|read| read.is_some()) {}
            }
            // Dropped, it tells the other end by itself.
            End::Mux(_) | End::Own(_) => {}
        }
    }

    /// Waits until the other side has read all that was written, where the system can tell.
    pub fn wait_drained(&self) -> io::Result<()> {
        match self {
            End::Pipe(stream) => match stream.wait_drained() {
                Err(e) if e.kind() == ErrorKind::Unsupported => Ok(()),
                drained => drained,
            },
            _ => Ok(()),
        }
    }

    /// What a program is told about its client.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let End::Pipe(stream) = self else {
            return Vec::new();
        };
        let mut told = vec![("NPIPE_NAME", stream.local_addr().to_string())];
        told.extend(
            stream
                .peer_pid()
                .ok()
                .map(|id| ("NPIPE_PEER_PID", id.to_string())),
        );
        if let Ok(peer) = stream.peer_identity() {
            told.extend(peer.uid().map(|id| ("NPIPE_PEER_UID", id.to_string())));
            told.extend(peer.sid().map(|id| ("NPIPE_PEER_SID", id.to_string())));
        }
        told
    }

    /// How long this may go on once the other end has gone, and it has been told so.
    pub fn grace(&self) -> Option<Duration> {
        match self {
            End::Program(program) => program.grace(),
            _ => Some(Duration::from_secs(1)),
        }
    }

    /// Whether the other side of this pipe is ourselves.
    pub fn leads_to_this_process(&self) -> bool {
        match self {
            End::Pipe(stream) => stream
                .peer_pid()
                .is_ok_and(|process| process == std::process::id()),
            _ => false,
        }
    }

    pub fn is_own(&self) -> bool {
        matches!(self, End::Own(_))
    }

    /// Whether reading here can go on forever, whatever happens at the other end.
    pub fn reads_for_ever(&self) -> bool {
        matches!(self, End::Own(Own { feed: None, .. }))
    }

    /// Whether input that a person has not typed yet is all that can be missing from here.
    pub fn is_idle_terminal(&self) -> bool {
        self.reads_for_ever() && io::stdin().is_terminal()
    }

    /// What an error calls this end.
    pub fn name(&self) -> String {
        match self {
            End::Pipe(stream) => stream.peer_addr().to_string(),
            End::Tcp(stream) => match stream.peer_addr() {
                Ok(address) => format!("tcp:{address}"),
                Err(_) => "tcp".into(),
            },
            End::Program(_) => "the program".into(),
            End::Mux(_) => "mux".into(),
            End::Own(_) => "stdin".into(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
