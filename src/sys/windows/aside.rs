//! Work that waits for the peer to have read everything: a flush has no overlapped form, and a deadline could not end it
//! where it is called. So it goes to threads of the system's own pool, [`WORKERS`] at the most.
//!
//! A peer may never read. So work that has begun and does not come to its end gives way to work that waits, and takes its
//! turn again after it. What has not begun is taken back at once; what has is told to stop, and whoever gave it up waits
//! for nothing: the work has a handle of its own.

use std::collections::VecDeque;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use super::lent::{GivenUp, Lent, Waiter};
use super::os::{self, Empties};
use crate::lane::{Cancelled, Operation, Waited, Waker};

/// How many threads of the pool are in a flush at the same time.
const WORKERS: usize = 16;

/// How long work goes on while other work waits that has not been tried yet, and how often work that was given up is told.
const TURN: Duration = Duration::from_millis(20);

/// How long it goes on while all that waits has been tried before.
const LONG_TURN: Duration = Duration::from_millis(500);

/// How long a name waits for what was given up to let go of it.
const SETTLE: Duration = Duration::from_secs(2);

/// What comes after the flush.
type Last = fn(&OwnedHandle, &Ticket) -> io::Result<()>;

/// What the one who waits and the thread that works have in common.
struct Ticket {
    given_up: AtomicBool,
    /// The system's error, or 0.
    result: OnceLock<u32>,
    /// Called once there is a result.
    tell: Box<dyn Fn() + Send + Sync>,
}

/// What is called calls into the system and no further: nothing is left half done.
impl RefUnwindSafe for Ticket {}
impl UnwindSafe for Ticket {}

struct Job {
    /// A handle of its own, for it may be the last to let go of the pipe.
    pipe: OwnedHandle,
    last: Last,
    ticket: Arc<Ticket>,
}

struct Working {
    ticket: Arc<Ticket>,
    /// None once it is past the flush, and there is nothing to cancel.
    thread: Option<Arc<os::Thread>>,
    since: Instant,
}

impl Working {
    fn cancel(&self) {
        if let Some(thread) = &self.thread {
            thread.cancel_io();
        }
    }
}

#[derive(Default)]
struct Pool {
    /// Not tried yet.
    fresh: VecDeque<Job>,
    /// Tried, and to be tried again.
    tried: VecDeque<Job>,
    tried_next: bool,
    /// At work at the moment.
    working: Vec<Working>,
    workers: usize,
    /// Somebody looks after the turns.
    kept: bool,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    fresh: VecDeque::new(),
    tried: VecDeque::new(),
    tried_next: false,
    working: Vec::new(),
    workers: 0,
    kept: false,
});

fn pool() -> MutexGuard<'static, Pool> {
    // Nothing in here panics half way, so a poisoned lock guards a whole state.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// The untried first, and the others in between.
    fn next(&mut self) -> Option<Job> {
        let (first, second) = match self.tried_next {
            true => (&mut self.tried, &mut self.fresh),
            false => (&mut self.fresh, &mut self.tried),
        };
        self.tried_next = !self.tried_next;
        first.pop_front().or_else(|| second.pop_front())
    }

    fn at(&mut self, ticket: &Arc<Ticket>) -> Option<&mut Working> {
        self.working
            .iter_mut()
            .find(|at| Arc::ptr_eq(&at.ticket, ticket))
    }

    fn leave(&mut self, ticket: &Arc<Ticket>) {
        self.working.retain(|at| !Arc::ptr_eq(&at.ticket, ticket));
    }

    /// Sees to it that somebody looks after the turns, if there is anything to look after.
    fn keep(&mut self) {
        let needed = !self.fresh.is_empty() || self.is_unsettled();
        if needed && !self.kept {
            // Without memory for that, the work ends when the peers let it.
            self.kept = os::run_aside(keep_turns).is_ok();
        }
    }

    /// Whether work that was given up has not let go yet.
    fn is_unsettled(&self) -> bool {
        let given_up = |at: &Working| at.ticket.given_up.load(Ordering::SeqCst);
        self.working.iter().any(given_up)
    }
}

/// One thread of the pool, until there is nothing left to do.
fn work() {
    let thread = os::Thread::current().map(Arc::new);
    loop {
        let mut all = pool();
        let Some(job) = all.next() else {
            all.workers -= 1;
            return;
        };
        let ticket = job.ticket.clone();
        let flushed = match &thread {
            Err(error) => Err(io::Error::from_raw_os_error(os::code(error) as i32)),
            Ok(thread) => {
                all.working.push(Working {
                    ticket: ticket.clone(),
                    thread: Some(thread.clone()),
                    since: Instant::now(),
                });
                drop(all);
                let flushed = os::flush(&job.pipe);
                all = pool();
                // Before anything else of this thread's could be cancelled in its place.
                if let Some(at) = all.at(&ticket) {
                    at.thread = None;
                }
                flushed
            }
        };
        let given_up = ticket.given_up.load(Ordering::SeqCst);
        match flushed {
            Err(error) if os::is_cancelled(&error) && !given_up => {
                all.leave(&ticket);
                all.tried.push_back(job);
            }
            flushed => {
                drop(all);
                let result = match given_up {
                    true => flushed,
                    false => flushed.and_then(|()| (job.last)(&job.pipe, &ticket)),
                };
                // The pipe first: whoever is told may count on it.
                drop(job);
                pool().leave(&ticket);
                let code = result.err().map_or(0, |error| os::code(&error));
                let _ = ticket.result.set(code);
                (ticket.tell)();
            }
        }
    }
}

/// Ends the turns of those who work while others wait, and tells those again that were given up: one that was just about
/// to enter the system does not hear it.
fn keep_turns() {
    loop {
        thread::sleep(TURN);
        let mut all = pool();
        let (fresh, tried) = (all.fresh.len(), all.tried.len());
        let busy = all.workers >= WORKERS;
        let mut wanted = fresh;
        for at in &all.working {
            if at.ticket.given_up.load(Ordering::SeqCst) {
                at.cancel();
            } else if busy && wanted > 0 && at.since.elapsed() >= TURN {
                wanted -= 1;
                at.cancel();
            } else if busy && tried > 0 && at.since.elapsed() >= LONG_TURN {
                at.cancel();
            }
        }
        if fresh + tried == 0 && !all.is_unsettled() {
            all.kept = false;
            return;
        }
    }
}

/// A flush on its way, and what comes after it. Dropped, it is given up, and nobody waits for it.
pub(crate) struct Flush(Arc<Ticket>);

impl std::fmt::Debug for Flush {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Flush").field(&self.result()).finish()
    }
}

impl Flush {
    /// Flushes `pipe`, and calls `tell` from another thread once there is a result.
    pub(super) fn start(
        pipe: &OwnedHandle,
        tell: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Flush> {
        Flush::begin(pipe, |_, _| Ok(()), Box::new(tell))
    }

    fn begin(
        pipe: &OwnedHandle,
        last: Last,
        tell: Box<dyn Fn() + Send + Sync>,
    ) -> io::Result<Flush> {
        let ticket = Arc::new(Ticket {
            given_up: AtomicBool::new(false),
            result: OnceLock::new(),
            tell,
        });
        let job = Job {
            pipe: pipe.try_clone()?,
            last,
            ticket: ticket.clone(),
        };
        let mut all = pool();
        if all.workers < WORKERS {
            match os::run_aside(work) {
                Ok(()) => all.workers += 1,
                // Those who are there will come to it.
                Err(_) if all.workers > 0 => {}
                Err(error) => return Err(error),
            }
            all.fresh.push_back(job);
        } else {
            all.fresh.push_back(job);
            all.keep();
        }
        Ok(Flush(ticket))
    }

    /// What came of it, if it is over.
    pub(super) fn result(&self) -> Option<io::Result<()>> {
        self.0.result.get().map(|&code| match code {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code as i32)),
        })
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        if self.0.result.get().is_some() {
            return;
        }
        let mut all = pool();
        self.0.given_up.store(true, Ordering::SeqCst);
        let mine = |job: &Job| Arc::ptr_eq(&job.ticket, &self.0);
        let fresh = all.fresh.iter().position(mine);
        let tried = all.tried.iter().position(mine);
        let not_begun = match (fresh, tried) {
            (Some(at), _) => all.fresh.remove(at),
            (_, Some(at)) => all.tried.remove(at),
            _ => None,
        };
        if let Some(at) = all.at(&self.0) {
            at.cancel();
        }
        all.keep();
        drop(all);
        // It closes a handle, for which nobody else has to wait.
        drop(not_begun);
    }
}

/// What is to be closed by another thread, and whether one is at it.
#[derive(Default)]
struct Closing {
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    handles: Vec<OwnedHandle>,
    at_it: bool,
}

static CLOSING: Mutex<Closing> = Mutex::new(Closing {
    handles: Vec::new(),
    at_it: false,
});

fn closing() -> MutexGuard<'static, Closing> {
    CLOSING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes instances, which takes a while where they are many, on a thread of the pool.
#[cfg(feature = "tokio")]
pub(super) fn close(handles: Vec<OwnedHandle>) {
    fn work() {
        loop {
            let mut closing = closing();
            let Some(handle) = closing.handles.pop() else {
                closing.at_it = false;
                return;
            };
            drop(closing);
            drop(handle);
        }
    }

    let mut closing = closing();
    closing.handles.extend(handles);
    if closing.at_it || closing.handles.is_empty() {
        return;
    }
    closing.at_it = os::run_aside(work).is_ok();
    if !closing.at_it {
        let handles = std::mem::take(&mut closing.handles);
        drop(closing);
        drop(handles);
    }
}

/// Waits until work that was given up, or left to others, has let go of its pipes, where a name depends on it. The system
/// ends a flush at once.
pub(super) fn settle() {
    let until = Instant::now().checked_add(SETTLE);
    while (pool().is_unsettled() || closing().at_it)
        && until.is_some_and(|until| Instant::now() < until)
    {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until the peer has read everything: at once where the system can tell so, else by a flush.
pub(crate) struct Drain<'a> {
    pipe: &'a OwnedHandle,
    waiter: &'a Waiter,
    among: Empties,
    flush: Option<Flush>,
}

impl<'a> Drain<'a> {
    pub(super) fn new(pipe: &'a OwnedHandle, waiter: &'a Waiter, among: Empties) -> Drain<'a> {
        Drain {
            pipe,
            waiter,
            among,
            flush: None,
        }
    }
}

pub(super) fn is_drained(pipe: &OwnedHandle, among: Empties) -> bool {
    os::local(pipe).is_ok_and(|local| local.is_drained(among))
}

impl Operation for Drain<'_> {
    type Output = ();

    fn poll(&mut self) -> Poll<io::Result<()>> {
        if let Some(flush) = &self.flush {
            return flush.result().map_or(Poll::Pending, Poll::Ready);
        }
        if is_drained(self.pipe, self.among) {
            return Poll::Ready(Ok(()));
        }
        // The lane's own event, so that a wake-up and the end of the flush are one wait.
        let event = self.waiter.event().and_then(os::Event::try_clone);
        match event.and_then(|event| Flush::start(self.pipe, move || event.set())) {
            Ok(flush) => {
                self.flush = Some(flush);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        self.waiter.wait(until)
    }

    fn cancel(&mut self) -> Cancelled<()> {
        // Nothing of this side's is in it. Its result does not matter any more.
        match self.flush.take().and_then(|flush| flush.result()) {
            None => Cancelled::Nothing,
            Some(result) => Cancelled::Finished(result),
        }
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        if self.flush.is_some() {
            // A wake-up that came for somebody else meanwhile may have been swallowed here.
            self.waiter.wake();
        }
    }
}

/// A half close on its way: the empty message goes out behind what the peer has read, and not before. A peer that reads
/// a message pipe as bytes, as go-winio does, would never see it behind unread data: there it vanishes in the read that
/// takes the data. (So go-winio flushes first too, and blocks for it.) Dropped, it is given up: the end of the pipe
/// says as much.
#[derive(Debug)]
pub(crate) struct HalfClose(Option<Flush>);

impl HalfClose {
    pub(super) fn start(pipe: &OwnedHandle) -> io::Result<HalfClose> {
        // Empty messages are not counted, and what follows them may: they end what a peer reads as much as this one does.
        if is_drained(pipe, Empties::None) {
            send_empty(pipe, None)?;
            return Ok(HalfClose(None));
        }
        let flush = Flush::begin(
            pipe,
            |pipe, ticket| send_empty(pipe, Some(ticket)),
            Box::new(|| ()),
        )?;
        Ok(HalfClose(Some(flush)))
    }

    /// Whether it has not come to its end yet.
    pub(super) fn is_under_way(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|flush| flush.result().is_none())
    }
}

/// With nothing ahead of it an empty message has its place at once: it is not waited for.
fn send_empty(pipe: &OwnedHandle, ticket: Option<&Ticket>) -> io::Result<()> {
    let waiter = Waiter::new();
    let mut write = Lent::new(
        pipe,
        &waiter,
        GivenUp::Harmless,
        |pipe: &OwnedHandle, overlapped| {
            // SAFETY: nothing is read from the buffer, and the OVERLAPPED is this operation's, which is dropped first.
            unsafe { os::write(pipe, std::ptr::dangling(), 0, overlapped) }
        },
    );
    loop {
        if let Poll::Ready(sent) = write.poll() {
            return sent.map(drop);
        }
        // Not seen to happen; if a system did make it wait, whoever gives up the half close is not kept waiting.
        let until = ticket.and_then(|_| Instant::now().checked_add(TURN));
        write.wait(until)?;
        if ticket.is_some_and(|ticket| ticket.given_up.load(Ordering::SeqCst)) {
            return Err(io::Error::from_raw_os_error(0));
        }
    }
}

#[cfg(test)]
mod tests;
