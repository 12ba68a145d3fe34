//! A program at work: three threads, however many connections there are. One reads what it writes; the others do what is
//! left over of writing and of the multiplexer's work.

use std::io::{self, ErrorKind};
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::channel::{Channel, Place};
use super::engine::{Engine, MOST};
use super::frame::{self, LONGEST_HELLO, Role};
use super::wire::Wire;
use crate::end::End;
use crate::failure::{self, Failure};
use crate::threads::STACK;

/// How long the other end may take to say who it is: a person may have to type a password for it first.
const HELLO: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub struct Session {
    engine: Arc<Engine>,
    arrived: Mutex<Receiver<yamux::Stream>>,
    /// How many connections this end has opened.
    count: Arc<AtomicUsize>,
    /// What the errors call the other end.
    name: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Says who we are, and waits until the other end has. `carrier` is its stdin and stdout, or our own.
    pub fn start(carrier: End, role: Role) -> failure::Result<Session> {
        let name = match &carrier {
            End::Own(_) => "mux".to_owned(),
            end => format!("mux: {}", end.name()),
        };
        let carrier = Arc::new(carrier);
        let to = carrier.clone();
        let wire = Arc::new(Wire::new(move |bytes| to.write(false, bytes)));
        let (arrive, arrived) = mpsc::channel();
        let engine = Arc::new(Engine::new(wire.clone(), role, arrive));
        let (tell, told) = mpsc::channel();
        let thread_failed = |e: io::Error| Failure::io("start a thread", &e);
        let (reading, from) = (engine.clone(), carrier.clone());
        spawn(move || read(&from, &reading, &tell)).map_err(thread_failed)?;
        // Who has gone already cannot be told, and is heard of by the reader.
        let _ = carrier.write(false, frame::hello(role).as_bytes());

        let failed = |why: &str| Failure::new(failure::IO, format!("{name}: {why}"));
        let heard = match told.recv_timeout(HELLO) {
            Ok(Ok(line)) => frame::check(&line, role).map_err(|why| failed(&why)),
            Ok(Err(Some(error))) => Err(failed(&error.to_string())),
            Ok(Err(None)) | Err(RecvTimeoutError::Disconnected) => Err(failed(
                "it ended before it said anything; run the command by hand to see why",
            )),
            Err(RecvTimeoutError::Timeout) => Err(Failure::new(
                failure::TIMED_OUT,
                format!(
                    "{name}: it said nothing within {HELLO:?}; see that the command runs npipe mux"
                ),
            )),
        };
        if let Err(failure) = heard {
            wire.end();
            carrier.end_write();
            return Err(failure);
        }

        let writing = wire.clone();
        let work = engine.clone();
        let started = spawn(move || writing.run()).and_then(|()| {
            spawn(move || {
                work.run();
                carrier.end_write();
            })
        });
        if let Err(error) = started {
            wire.end();
            return Err(thread_failed(error));
        }
        Ok(Session {
            engine,
            arrived: Mutex::new(arrived),
            count: Arc::default(),
            name,
        })
    }

    pub fn is_open(&self) -> bool {
        !self.engine.is_over()
    }

    /// Waits until the program has gone.
    pub fn wait_end(&self) {
        self.engine.wait_end();
    }

    /// Has the other end dial, for a client whose pipe has messages or not, and as long as it has not left.
    pub fn open(&self, messages: bool, has_left: impl Fn() -> bool) -> failure::Result<Channel> {
        let gone = || {
            Failure::new(
                failure::IO,
                format!(
                    "{}: the program has ended; the next client starts it again",
                    self.name
                ),
            )
        };
        let place = Place::take(&self.count, MOST).ok_or_else(|| {
            Failure::new(
                failure::IO,
                format!("{}: {MOST} clients are there already", self.name),
            )
        })?;
        let (give, given) = mpsc::channel();
        self.engine.want(give);
        let stream = given.recv().map_err(|_| gone())?;
        let mut channel = Channel::new(stream, self.engine.clone(), Some(place));
        match channel.open(messages, has_left) {
            Ok(None) => Ok(channel),
            Ok(Some((code, line))) => Err(Failure::new(code, format!("{}: {line}", self.name))),
            // There is nobody to tell.
            Err(e) if e.kind() == ErrorKind::ConnectionAborted => Err(Failure::silent(failure::IO)),
            Err(_) if !self.is_open() => Err(gone()),
            Err(error) => Err(Failure::io(&self.name, &error)),
        }
    }

    /// Waits for a client that the other end has. None: it has gone.
    pub fn accept(&self) -> Option<Channel> {
        let stream = lock(&self.arrived).recv().ok()?;
        Some(Channel::new(stream, self.engine.clone(), None))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.engine.wire.end();
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .stack_size(STACK)
        .spawn(run)
        .map(drop)
}

/// What the other end says first, a line; what it says after that goes to the multiplexer.
fn read(carrier: &End, engine: &Engine, tell: &Sender<Result<String, Option<io::Error>>>) {
    let mut buffer = Vec::new();
    let mut line = Vec::new();
    let mut greeted = false;
    loop {
        let length = match carrier.read(false, &mut buffer) {
            Ok(Some(length)) => length,
            ended => {
                if !greeted {
                    // What it said of itself, if it did.
                    let _ = tell.send(if line.is_empty() {
                        Err(ended.err())
                    } else {
                        Ok(text(&line))
                    });
                }
                break;
            }
        };
        let mut bytes = &buffer[..length];
        if !greeted {
            let end = bytes.iter().position(|&byte| byte == b'\n');
            line.extend_from_slice(&bytes[..end.map_or(length, |at| at + 1)]);
            if end.is_none() && line.len() <= LONGEST_HELLO {
                continue;
            }
            greeted = true;
            bytes = end.map_or(&[], |at| &bytes[at + 1..]);
            let _ = tell.send(Ok(text(&line)));
        }
        if !engine.attend(|| engine.wire.receive(bytes)) {
            break;
        }
    }
    engine.attend(|| engine.wire.end());
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}
