//! Copies between two ends, both ways at once, until both ways have ended; and decides when they have.
//!
//! `near` is the side that came (a client, or our own stdio), `far` the side that was gone to (a server, a program).
//! Each way is one thread with one buffer of fixed size, so that an end that does not read holds up nothing but its
//! own connection, and costs no memory.
//!
//! When the source of a way has ended, the end is carried on as a half close. What then still comes the other way is
//! copied as well, until it ends too, or until its receiver is known to be gone. Where the sink has no half close (a
//! Windows byte pipe, our own stdout) there are two cases. The far side, the one that serves, has nothing more to
//! say: the connection is done, and closed. The near side has nothing more to say: it still wants its answer, and
//! the far side is the one to end.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::end::{End, HalfClose};
use crate::failure::{self, Failure};
use crate::options::Ways;
use crate::say;
use crate::threads::STACK;

/// How long an end may take to close by itself once it knows of the end.
const LINGER: Duration = Duration::from_secs(1);

/// How long input that is there already may take to find out that nobody wants it.
const LAST_INPUT: Duration = Duration::from_millis(100);

/// How long answers that are here already may take to be read once `--exit-on-eof` has what it waits for.
const LAST_OUTPUT: Duration = Duration::from_millis(10);

/// How long an empty message may be the half close of its sender, whose shutdown follows at once. Windows has no shutdown:
/// there an empty message may be the end for as long as nothing follows.
const MAYBE_THE_END: Option<Duration> = if cfg!(unix) {
    Some(Duration::from_millis(50))
} else {
    None
};

/// How long nothing follows once both sides have sent one. It is long, because a server may take its time to answer.
const SURELY_THE_END: Duration = Duration::from_secs(2);

/// How long to wait for a TCP client that has ended its side, where the far side cannot be told: nobody can tell whether it
/// still wants an answer, and a server of one client serves nobody else meanwhile.
const MAYBE_GONE: Duration = Duration::from_secs(5);

/// How often one looks whether an end that has only half closed has gone: no event says so.
const LOOK: Duration = Duration::from_millis(20);
const SELDOM: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From near to far: a client's words to its server, our stdin to the pipe.
    Up,
    /// From far to near.
    Down,
}

impl Way {
    fn other(self) -> Way {
        match self {
            Way::Up => Way::Down,
            Way::Down => Way::Up,
        }
    }
}

/// Sees what passes, before it is passed on.
pub trait Watch: Send + Sync {
    fn data(&self, way: Way, bytes: &[u8], message: bool);
    fn end(&self, way: Way);
    /// The connection is over.
    fn close(&self) {}
}

/// Which ways there are, and when it is over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// The end of what comes up, once the far side has read all of it, is the end of the connection.
    pub exit_on_eof: bool,
    /// `R` is down, from the far side; `W` is up.
    pub ways: Ways,
    /// Once the near side has ended, the connection ends so long after the last byte came from the far side.
    pub linger: Option<Duration>,
}

/// What became of one way.
#[derive(Debug, Default)]
pub struct Passage {
    pub bytes: u64,
    pub failure: Option<Failure>,
}

/// What became of a connection.
#[derive(Debug)]
pub struct Outcome {
    pub up: Passage,
    pub down: Passage,
}

impl Outcome {
    /// Says how it went with client `number`: what failed, and how much there was of each way, by its name.
    pub fn tell(&self, number: impl std::fmt::Display, up: &str, down: &str) {
        for failure in [&self.up.failure, &self.down.failure].into_iter().flatten() {
            failure.tell_of(format_args!("client {number}"));
        }
        say::detail(format_args!(
            "client {number} is done: {} bytes {up}, {} {down}",
            self.up.bytes, self.down.bytes
        ));
    }

    /// The one thing to say of a connection that was this run's only one.
    pub fn into_result(self) -> failure::Result {
        match self.down.failure.or(self.up.failure) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

struct Couple {
    near: End,
    far: End,
    terms: Terms,
    watch: Option<Arc<dyn Watch>>,
    up: Lane,
    down: Lane,
    /// All has been written; waits until it has been read: that tells by itself if nobody is there to read it.
    draining: AtomicBool,
    /// Whether each way has ended; both for the one condition variable.
    ended: Mutex<(bool, bool)>,
    change: Condvar,
}

#[derive(Default)]
struct Lane {
    bytes: AtomicU64,
    /// Its reads were told to stop, so that a timeout is an end and no failure.
    stopped: AtomicBool,
    /// What has come already is still to be read: each read has `LAST_OUTPUT` from its own start, however long the
    /// writes between them take.
    emptying: AtomicBool,
    /// Its last message was empty and may be the end; our own stdout has not got it yet.
    maybe_ended: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

/// Copies until it is over. The ends are closed on return, but for a stdin that cannot be stopped.
pub fn couple(
    near: End,
    far: End,
    terms: Terms,
    watch: Option<Arc<dyn Watch>>,
) -> failure::Result<Outcome> {
    let couple = Arc::new(Couple {
        near,
        far,
        terms,
        watch,
        up: Lane::default(),
        down: Lane::default(),
        draining: AtomicBool::new(false),
        ended: Mutex::new((terms.ways == Ways::R, terms.ways == Ways::W)),
        change: Condvar::new(),
    });
    // Reading our own stdin cannot be stopped: the thread that does it is left behind if need be.
    let apart = if couple.far.reads_for_ever() {
        Way::Down
    } else {
        Way::Up
    };
    let start = |way| {
        let couple = couple.clone();
        thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || couple.run(way))
            .map_err(|e| Failure::io("start a thread", &e))
    };
    match terms.ways {
        Ways::Rw => {
            start(apart)?;
            couple.run(apart.other());
        }
        Ways::R => {
            start(Way::Down)?;
            couple.attend_receiver(Way::Down);
        }
        Ways::W => {
            start(Way::Up)?;
            couple.attend_receiver(Way::Up);
        }
    }
    if let Some(watch) = &couple.watch {
        watch.close();
    }
    Ok(Outcome {
        up: couple.up.passage(),
        down: couple.down.passage(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lane {
    fn passage(&self) -> Passage {
        Passage {
            bytes: self.bytes.load(Ordering::Relaxed),
            failure: lock(&self.failure).take(),
        }
    }
}

impl Couple {
    /// (source, sink, lane)
    fn parts(&self, way: Way) -> (&End, &End, &Lane) {
        match way {
            Way::Up => (&self.near, &self.far, &self.up),
            Way::Down => (&self.far, &self.near, &self.down),
        }
    }

    /// One way, from its first byte until the connection needs this thread no longer.
    fn run(&self, way: Way) {
        let (source, sink, lane) = self.parts(way);
        let copied = self.copy(way);
        let output_closed = sink.is_own() && matches!(copied, Err(Broken::Sink(_)));
        if let Err(broken) = copied {
            *lock(&lane.failure) = Some(broken.explain(source, sink));
        } else if let Some(watch) = &self.watch {
            watch.end(way);
        }
        if way == Way::Up && self.terms.exit_on_eof {
            self.draining.store(true, Ordering::SeqCst);
        }
        let half_close = if self.has_messages() && !source.is_own() {
            sink.end_messages()
        } else {
            sink.end_write()
        };
        if way == Way::Up && self.terms.exit_on_eof {
            self.finish_at_eof(lane);
        }
        self.set_ended(way);
        if cfg!(windows) && source.is_own() && self.down.maybe_ended.load(Ordering::SeqCst) {
            sink.set_patience(Some(SURELY_THE_END));
        }
        self.attend(way, half_close, output_closed);
    }

    fn copy(&self, way: Way) -> Result<(), Broken> {
        let (source, sink, lane) = self.parts(way);
        let messages = self.has_messages();
        let mut buffer = Vec::new();
        loop {
            if lane.emptying.load(Ordering::SeqCst) {
                source.stop_reading(LAST_OUTPUT);
            }
            let read = self.read_whole(way, messages, &mut buffer);
            if lane.maybe_ended.load(Ordering::SeqCst) && !is_the_end(&read) {
                // It was a message like any other.
                lane.maybe_ended.store(false, Ordering::SeqCst);
                source.set_patience(None);
                sink.write(messages, &[]).map_err(Broken::Sink)?;
            }
            let length = match read {
                Ok(None) => return Ok(()),
                Ok(Some(length)) => length,
                Err(_) if lane.stopped.load(Ordering::SeqCst) => return Ok(()),
                Err(e) if messages && e.kind() == ErrorKind::TimedOut => {
                    if lane.maybe_ended.load(Ordering::SeqCst) {
                        return Ok(());
                    }
                    source.set_patience(None);
                    continue;
                }
                Err(e) => return Err(Broken::Source(e)),
            };
            let bytes = &buffer[..length];
            if let Some(watch) = &self.watch {
                watch.data(way, bytes, messages);
            }
            if messages && bytes.is_empty() && sink.is_own() {
                lane.maybe_ended.store(true, Ordering::SeqCst);
                let both = cfg!(windows) && self.await_end(way.other(), Duration::ZERO);
                if let Some(patience) = MAYBE_THE_END.or(both.then_some(SURELY_THE_END)) {
                    source.set_patience(Some(patience));
                }
                continue;
            }
            if let Err(e) = sink.write(messages, bytes) {
                if sink.is_own() {
                    return Err(Broken::Sink(e));
                }
                let is_kept = source.take_back(bytes);
                source.discard(&mut buffer);
                if is_kept && e.kind() == ErrorKind::BrokenPipe {
                    return Ok(());
                }
                return Err(Broken::Sink(e));
            }
            lane.bytes.fetch_add(length as u64, Ordering::Relaxed);
        }
    }

    /// What is there, or one whole message: one that has begun is not cut by the end of a patience.
    fn read_whole(
        &self,
        way: Way,
        messages: bool,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<usize>> {
        let (source, _, lane) = self.parts(way);
        let mut read = source.read(messages, buffer);
        let mut had = 0;
        while messages
            && matches!(&read, Err(e) if e.kind() == ErrorKind::TimedOut)
            && !buffer.is_empty()
            && (buffer.len() > had || !lane.stopped.load(Ordering::SeqCst))
        {
            had = buffer.len();
            source.set_patience(None);
            if lane.emptying.load(Ordering::SeqCst) {
                source.stop_reading(LAST_OUTPUT);
            }
            read = source.read_on(buffer);
        }
        read
    }

    /// Whether boundaries pass: both ends must have them.
    fn has_messages(&self) -> bool {
        self.near.has_messages() && self.far.has_messages()
    }

    /// All of stdin has been written: once it has been read as well, the connection is done.
    fn finish_at_eof(&self, lane: &Lane) {
        if let Err(error) = self.far.wait_drained() {
            lock(&lane.failure).get_or_insert_with(|| Failure::pipe(&error));
        }
        self.finish_emptying(Way::Down);
    }

    /// Ends `way` once what has come already has passed.
    fn finish_emptying(&self, way: Way) {
        let (_, _, lane) = self.parts(way);
        lane.emptying.store(true, Ordering::SeqCst);
        self.stop(way, LAST_OUTPUT);
    }

    /// How long the other way may be quiet once `way` has ended. None: for ever.
    fn linger(&self, way: Way, half_close: HalfClose) -> Option<Duration> {
        let maybe_gone = half_close == HalfClose::Impossible && matches!(self.near, End::Tcp(_));
        match way {
            Way::Up if maybe_gone => self.terms.linger.or(Some(MAYBE_GONE)),
            Way::Up => self.terms.linger,
            Way::Down => None,
        }
    }

    fn passed(&self, way: Way) -> u64 {
        let (_, _, lane) = self.parts(way);
        lane.bytes.load(Ordering::Relaxed)
    }

    /// `way` has ended. Ends the other one too, when the time for that has come.
    fn attend(&self, way: Way, half_close: HalfClose, output_closed: bool) {
        let (source, sink, _) = self.parts(way);
        let other = way.other();
        if output_closed {
            self.stop(other, Duration::ZERO);
            return;
        }
        let mut look = LOOK;
        let linger = self.linger(way, half_close);
        let mut quiet = Quiet::from_now(self.passed(other));
        loop {
            // In this order: who drains has half-closed, after which an end that did so too looks gone.
            let is_gone = source.is_gone();
            if way == Way::Down && self.draining.load(Ordering::SeqCst) {
                self.await_end(other, Duration::MAX);
                return;
            }
            if is_gone {
                let grace = match half_close {
                    _ if sink.is_idle_terminal() => Duration::ZERO,
                    // What comes through a feed is the next client's.
                    _ if sink.reads_for_ever() => LAST_INPUT,
                    HalfClose::Done => match sink.grace() {
                        Some(grace) => grace,
                        None => Duration::MAX,
                    },
                    HalfClose::Impossible => Duration::ZERO,
                };
                self.end(other, grace);
                return;
            }
            let far_is_done = way == Way::Down && half_close == HalfClose::Impossible;
            if far_is_done && !source.is_own() && !sink.is_own() {
                self.await_idle(other);
                source.stop_writing();
                self.stop(other, Duration::ZERO);
                return;
            }
            let left = match linger {
                Some(linger) => quiet.left(self.passed(other), linger),
                None => Duration::MAX,
            };
            if left.is_zero() {
                self.finish_emptying(other);
                return;
            }
            // Our own stdio never tells more than it has.
            let step = if source.is_own() { Duration::MAX } else { look };
            if self.await_end(other, step.min(left)) {
                return;
            }
            look = (look * 2).min(SELDOM);
        }
    }

    /// Where there is one way alone: waits for its end, or for it to have nobody to go to, of whom nothing is read that
    /// would tell.
    fn attend_receiver(&self, way: Way) {
        let (source, sink, _) = self.parts(way);
        let mut look = if sink.is_own() { Duration::MAX } else { LOOK };
        while !self.await_end(way, look) {
            look = (look * 2).min(SELDOM);
            // In this order, as in `attend`.
            if !sink.is_gone() || self.draining.load(Ordering::SeqCst) {
                continue;
            }
            let grace = if source.reads_for_ever() {
                LAST_INPUT
            } else {
                Duration::ZERO
            };
            self.end(way, grace);
            return;
        }
    }

    /// Lets `way` end by itself within `grace`, and else ends it.
    fn end(&self, way: Way, grace: Duration) {
        if !self.await_end(way, grace) {
            self.stop(way, Duration::ZERO);
        }
    }

    /// Ends what is read for `way`, and waits for that where it can be ended. Our own stdin cannot.
    fn stop(&self, way: Way, grace: Duration) {
        let (source, _, lane) = self.parts(way);
        lane.stopped.store(true, Ordering::SeqCst);
        if source.stop_reading(grace) {
            self.await_end(way, Duration::MAX);
        }
    }

    fn set_ended(&self, way: Way) {
        let mut ended = lock(&self.ended);
        match way {
            Way::Up => ended.0 = true,
            Way::Down => ended.1 = true,
        }
        self.change.notify_all();
    }

    /// Whether `way` has ended, now or within `time`.
    fn await_end(&self, way: Way, time: Duration) -> bool {
        let until = Instant::now().checked_add(time);
        let mut ended = lock(&self.ended);
        loop {
            if match way {
                Way::Up => ended.0,
                Way::Down => ended.1,
            } {
                return true;
            }
            ended = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self
                    .change
                    .wait(ended)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return false,
                Some(left) => {
                    self.change
                        .wait_timeout(ended, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }

    /// Until `way` has ended, or nothing has passed on it for a while.
    fn await_idle(&self, way: Way) {
        let (_, _, lane) = self.parts(way);
        let mut seen = lane.bytes.load(Ordering::Relaxed);
        while !self.await_end(way, LINGER) {
            let now = lane.bytes.load(Ordering::Relaxed);
            if now == seen {
                return;
            }
            seen = now;
        }
    }
}

/// How long nothing has passed.
struct Quiet {
    passed: u64,
    since: Instant,
}

impl Quiet {
    fn from_now(passed: u64) -> Quiet {
        Quiet {
            passed,
            since: Instant::now(),
        }
    }

    /// How much is left of `time`.
    fn left(&mut self, passed: u64, time: Duration) -> Duration {
        if passed != self.passed {
            *self = Quiet::from_now(passed);
        }
        time.saturating_sub(self.since.elapsed())
    }
}

/// Whether the empty message before what was `read` now was the half close of its sender.
fn is_the_end(read: &io::Result<Option<usize>>) -> bool {
    match read {
        Ok(None) => true,
        Ok(Some(_)) => false,
        // Windows: both sides have sent one, and nothing has followed.
        Err(_) => cfg!(windows),
    }
}

/// Which side of a way failed.
enum Broken {
    Source(io::Error),
    Sink(io::Error),
}

impl Broken {
    fn explain(self, source: &End, sink: &End) -> Failure {
        let (doing, end, error) = match self {
            Broken::Source(error) => ("read from", source, error),
            Broken::Sink(error) => ("write to", sink, error),
        };
        match end {
            End::Pipe(_) => Failure::pipe(&error),
            End::Own(_) if doing == "write to" => Failure::stdout(error),
            _ => Failure::io(format_args!("{doing} {}", end.name()), &error),
        }
    }
}
