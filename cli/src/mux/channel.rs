//! One connection through the multiplexer. One thread may read from it while another writes.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};

use super::engine::Engine;
use super::frame::{self, HEADER, Kind, LONGEST, Nonsense};
use super::park::Park;

/// The library's own limit for a message, unless it is told another.
const LONGEST_MESSAGE: usize = 64 * 1024 * 1024;

/// How often one that waits for a server looks whether its client is still there.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub struct Channel {
    stream: Mutex<yamux::Stream>,
    engine: Arc<Engine>,
    incoming: Mutex<Incoming>,
    reading: Waiting,
    writing: Waiting,
    /// Both ways have come to their ends, or nobody wants to write any more.
    stopped: AtomicBool,
    messages: bool,
    _place: Option<Place>,
}

/// One of so many that there may be at once.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Place {
    pub fn take(count: &Arc<AtomicUsize>, most: usize) -> Option<Place> {
        let place = Place(count.clone());
        // Dropped, it is given back.
        (count.fetch_add(1, Ordering::SeqCst) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Where in the frames the reader is.
#[derive(Debug, Default)]
struct Incoming {
    header: [u8; HEADER],
    /// Of the header.
    read: usize,
    kind: Option<Kind>,
    /// Of the frame's bytes.
    left: usize,
    ended: bool,
}

/// A thread that waits for its turn, and until when.
#[derive(Debug, Default)]
struct Waiting {
    park: Arc<Park>,
    deadline: Mutex<Option<Instant>>,
    patience: Mutex<Option<Duration>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiting {
    fn wake(&self) {
        Waker::from(self.park.clone()).wake();
    }

    fn expired(&self, began: Instant) -> bool {
        self.until(began)
            .is_some_and(|until| until <= Instant::now())
    }

    fn until(&self, began: Instant) -> Option<Instant> {
        let patience = lock(&self.patience).and_then(|time| began.checked_add(time));
        let deadline = *lock(&self.deadline);
        match (patience, deadline) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

impl Channel {
    pub(super) fn new(stream: yamux::Stream, engine: Arc<Engine>, place: Option<Place>) -> Channel {
        Channel {
            stream: Mutex::new(stream),
            engine,
            incoming: Mutex::default(),
            reading: Waiting::default(),
            writing: Waiting::default(),
            stopped: AtomicBool::new(false),
            messages: false,
            _place: place,
        }
    }

    /// Says that a client is here, and waits for what the other end's dialling comes to: None, or why not, with an exit
    /// code. `has_left` is asked now and then, and ends it.
    pub(super) fn open(
        &mut self,
        messages: bool,
        has_left: impl Fn() -> bool,
    ) -> io::Result<Option<(u8, String)>> {
        self.put(Kind::Open, &[u8::from(messages)])?;
        self.set_patience(Some(LOOK));
        let mut bytes = Vec::new();
        loop {
            match self.whole(&mut bytes) {
                Ok(Kind::Seen) => bytes.clear(),
                Ok(Kind::Opened) => {
                    self.set_patience(None);
                    self.messages = bytes.first() == Some(&1);
                    return Ok(None);
                }
                Ok(Kind::Failed) => {
                    let (code, line) = bytes.split_first().ok_or_else(nonsense)?;
                    return Ok(Some((*code, String::from_utf8_lossy(line).into_owned())));
                }
                Ok(_) => return Err(nonsense()),
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    if has_left() {
                        return Err(ErrorKind::ConnectionAborted.into());
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Waits for the client that the other end has. What it is to be told, `opened` and `failed` tell it.
    pub fn greet(&mut self) -> io::Result<()> {
        // At once, since the other end opens only so many that have not been seen.
        self.put(Kind::Seen, &[])?;
        let mut bytes = Vec::new();
        match self.whole(&mut bytes)? {
            Kind::Open => {
                self.messages = bytes.first() == Some(&1);
                Ok(())
            }
            _ => Err(nonsense()),
        }
    }

    pub fn opened(&self, messages: bool) -> io::Result<()> {
        self.put(Kind::Opened, &[u8::from(messages)])
    }

    pub fn failed(&self, code: u8, line: &str) -> io::Result<()> {
        let mut bytes = vec![code];
        bytes.extend_from_slice(&line.as_bytes()[..line.len().min(LONGEST / 2)]);
        self.put(Kind::Failed, &bytes)
    }

    /// Whether what the other end copies to and from has boundaries.
    pub fn has_messages(&self) -> bool {
        self.messages
    }

    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut incoming = lock(&self.incoming);
        loop {
            match self.next(&mut incoming)? {
                None => return Ok(0),
                Some(Kind::Data | Kind::Part | Kind::Message) if incoming.left > 0 => {
                    let length = incoming.left.min(buffer.len());
                    let read = self.take(&mut incoming, &mut buffer[..length])?;
                    return Ok(read);
                }
                Some(Kind::Data | Kind::Part | Kind::Message) => incoming.kind = None,
                Some(_) => return Err(nonsense()),
            }
        }
    }

    /// Appends one message, or the rest of one of which a part is there. None is the end.
    pub fn recv(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let mut incoming = lock(&self.incoming);
        loop {
            let kind = match self.next(&mut incoming)? {
                None => return Ok(None),
                Some(kind @ (Kind::Data | Kind::Part | Kind::Message)) => kind,
                Some(_) => return Err(nonsense()),
            };
            if message.len() + incoming.left > LONGEST_MESSAGE {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    format!("a message of more than {LONGEST_MESSAGE} bytes"),
                ));
            }
            self.take_all(&mut incoming, message)?;
            incoming.kind = None;
            if kind != Kind::Part {
                return Ok(Some(message.len()));
            }
        }
    }

    /// The next frame that is not at its end, where it is. None is the end of all.
    fn next(&self, incoming: &mut Incoming) -> io::Result<Option<Kind>> {
        if incoming.ended {
            return Ok(None);
        }
        while incoming.kind.is_none() {
            while incoming.read < HEADER {
                let at = incoming.read;
                let read = self.poll_read(&mut incoming.header[at..])?;
                if read == 0 {
                    // An end that closes says so first: this one has been cut off.
                    return Err(cut());
                }
                incoming.read += read;
            }
            let (kind, length) = frame::header(incoming.header).ok_or_else(nonsense)?;
            incoming.read = 0;
            if kind == Kind::End {
                incoming.ended = true;
                return Ok(None);
            }
            (incoming.kind, incoming.left) = (Some(kind), length);
        }
        Ok(incoming.kind)
    }

    fn take(&self, incoming: &mut Incoming, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.poll_read(buffer)?;
        if read == 0 {
            return Err(cut());
        }
        incoming.left -= read;
        Ok(read)
    }

    fn take_all(&self, incoming: &mut Incoming, bytes: &mut Vec<u8>) -> io::Result<()> {
        while incoming.left > 0 {
            let at = bytes.len();
            bytes.resize(at + incoming.left, 0);
            let read = self.take(incoming, &mut bytes[at..]);
            bytes.truncate(at + read.as_ref().copied().unwrap_or(0));
            read?;
        }
        Ok(())
    }

    /// A whole frame of those before the data.
    fn whole(&self, bytes: &mut Vec<u8>) -> io::Result<Kind> {
        let mut incoming = lock(&self.incoming);
        let kind = self.next(&mut incoming)?.ok_or_else(cut)?;
        self.take_all(&mut incoming, bytes)?;
        incoming.kind = None;
        Ok(kind)
    }

    fn poll_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        let waker = Waker::from(self.reading.park.clone());
        loop {
            if self.reading.expired(began) {
                return Err(ErrorKind::TimedOut.into());
            }
            let mut context = Context::from_waker(&waker);
            let poll = self
                .engine
                .attend(|| Pin::new(&mut *lock(&self.stream)).poll_read(&mut context, buffer));
            match poll {
                Poll::Ready(Ok(length)) => return Ok(length),
                // It can only be that the program has gone.
                Poll::Ready(Err(_)) => return Ok(0),
                Poll::Pending => self.reading.park.wait(self.reading.until(began)),
            };
        }
    }

    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        bytes
            .chunks(LONGEST)
            .try_for_each(|chunk| self.put(Kind::Data, chunk))
    }

    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        let mut rest = message;
        while let Some((part, more)) = rest.split_at_checked(LONGEST).filter(|it| !it.1.is_empty())
        {
            self.put(Kind::Part, part)?;
            rest = more;
        }
        self.put(Kind::Message, rest)
    }

    /// Nothing more is written here.
    pub fn end(&self) {
        // It fails where the other end has gone already: there is nobody to tell.
        let _ = self.put(Kind::End, &[]);
    }

    fn put(&self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(HEADER + bytes.len());
        frame::put(&mut frame, kind, bytes);
        let waker = Waker::from(self.writing.park.clone());
        let mut rest = &frame[..];
        while !rest.is_empty() {
            self.engine
                .wire
                .wait_room(|| self.stopped.load(Ordering::SeqCst));
            if self.stopped.load(Ordering::SeqCst) {
                return Err(ErrorKind::TimedOut.into());
            }
            let mut context = Context::from_waker(&waker);
            let poll = self.engine.attend_and_write(|| {
                Pin::new(&mut *lock(&self.stream)).poll_write(&mut context, rest)
            });
            match poll {
                Poll::Ready(Ok(written)) => rest = &rest[written..],
                Poll::Ready(Err(_)) => return Err(ErrorKind::BrokenPipe.into()),
                Poll::Pending => {
                    self.writing.park.wait(None);
                }
            }
        }
        Ok(())
    }

    /// Whether the other end has dropped it: nothing that is written arrives.
    pub fn is_gone(&self) -> bool {
        lock(&self.stream).is_closed()
    }

    /// How long each read may take, the pending one too.
    pub fn set_patience(&self, patience: Option<Duration>) {
        *lock(&self.reading.patience) = patience;
        self.reading.wake();
    }

    /// Lets a pending read end after `grace`, and all later ones.
    pub fn stop_reading(&self, grace: Duration) {
        *lock(&self.reading.deadline) = Instant::now().checked_add(grace);
        self.reading.wake();
    }

    /// Lets a pending write fail, and all later ones.
    pub fn stop_writing(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.writing.wake();
    }
}

fn nonsense() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, Nonsense)
}

fn cut() -> io::Error {
    io::Error::new(
        ErrorKind::ConnectionReset,
        "the connection was cut off at the other end of mux",
    )
}
