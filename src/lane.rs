//! One direction of a stream, or a listener's accept: which call is in the system, until when, and how its limits are
//! moved while it waits.
//!
//! Nothing here knows a system. An [`Operation`] is what a system can do (start, wait, give up); [`Lane::drive`] is
//! the one state machine that carries it from its start to its result, through wake-ups, deadlines that move while it
//! waits, and a cancel that comes too late.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The operation may have got further.
    Ready,
    /// Somebody changed a deadline, or closed the lane.
    Woken,
    /// The deadline came.
    Expired,
}

/// What became of an operation that was given up.
#[cfg_attr(unix, allow(dead_code))] // there the system holds nothing between two attempts
#[derive(Debug)]
pub(crate) enum Cancelled<T> {
    /// It had no effect.
    Nothing,
    /// It came to its end all the same: this is its result, and it counts.
    Finished(io::Result<T>),
    /// It had some effect, and nobody can tell how much, or what is left of it cannot be sent any more.
    Unknown,
}

/// An operation of a system, on its way. Dropping one that is pending gives it up.
pub(crate) trait Operation {
    type Output;

    /// Starts it, or looks how far it has come. Never blocks.
    fn poll(&mut self) -> Poll<io::Result<Self::Output>>;

    /// Blocks until `poll` may have news, the lane's waker is used, or `until` (None: forever).
    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited>;

    /// Gives it up. After this the system holds none of its memory.
    fn cancel(&mut self) -> Cancelled<Self::Output>;
}

/// The end of a wait that looks up at least every so often: the first of the two.
pub(crate) fn earlier(until: Option<Instant>, slice: Duration) -> Option<Instant> {
    let slice = Instant::now().checked_add(slice);
    match (until, slice) {
        (Some(until), Some(slice)) => Some(until.min(slice)),
        (until, slice) => until.or(slice),
    }
}

/// How a call that waits in the system is made to look up.
pub(crate) trait Waker {
    /// Makes the present wait, or the next one, end with [`Waited::Woken`].
    fn wake(&self);
}

impl<W: Waker> Waker for Arc<W> {
    fn wake(&self) {
        (**self).wake();
    }
}

/// What limits a call, for the error that reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The deadline of all calls.
    Deadline,
    /// The timeout of each call.
    Timeout(Duration),
}

/// How a call through a lane failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The limit was reached, and the operation had no effect.
    TimedOut(Limit),
    /// It would have to wait, and the lane does not.
    WouldBlock,
    /// It was given up, and nobody knows how much was done.
    Lost,
    /// The lane was closed.
    Closed,
    /// The direction was closed by this side.
    Shut,
    /// The system's own error.
    System(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::System(error)
    }
}

/// At most one call at a time is in the system; the others queue here, under the same deadlines.
#[derive(Debug)]
pub(crate) struct Lane<W> {
    state: Mutex<State>,
    turn: Condvar,
    waker: W,
}

#[derive(Debug, Default)]
struct State {
    taken: bool,
    /// Whoever has the turn gives it up for the first who wants it.
    lenient: bool,
    queued: usize,
    closed: bool,
    /// What would have to wait fails instead.
    nonblocking: bool,
    limits: Limits,
}

#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    /// Absolute, for all calls.
    deadline: Option<Instant>,
    /// For each call, from its start.
    timeout: Option<Duration>,
}

/// The limits of one call.
#[derive(Clone, Copy, Debug)]
struct Call {
    /// When it began; looked up only where a timeout asks for it.
    began: Option<Instant>,
    /// A timeout of this call's own, in the place of the lane's.
    timeout: Option<Duration>,
}

/// The right to be the one call in the system. Given back on drop.
#[derive(Debug)]
pub(crate) struct Turn<'a, W: Waker> {
    lane: &'a Lane<W>,
    call: Call,
    /// As it was when the call began.
    nonblocking: bool,
}

impl Limits {
    /// When `call` has to end, and by which limit.
    fn of(&self, call: Call) -> Option<(Instant, Limit)> {
        // A timeout that lies beyond what the clock can hold is no limit.
        let own = call.timeout.or(self.timeout).and_then(|timeout| {
            let end = call
                .began
                .unwrap_or_else(Instant::now)
                .checked_add(timeout)?;
            Some((end, Limit::Timeout(timeout)))
        });
        match (self.deadline, own) {
            (Some(deadline), Some((end, limit))) if end < deadline => Some((end, limit)),
            (Some(deadline), _) => Some((deadline, Limit::Deadline)),
            (None, own) => own,
        }
    }

    /// Past its deadline a call does nothing. (A timeout limits waiting alone.)
    fn check(&self) -> Result<(), Failure> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Failure::TimedOut(Limit::Deadline)),
            _ => Ok(()),
        }
    }
}

impl<W: Waker> Lane<W> {
    pub(crate) fn new(waker: W) -> Lane<W> {
        Lane {
            state: Mutex::default(),
            turn: Condvar::new(),
            waker,
        }
    }

    pub(crate) fn waker(&self) -> &W {
        &self.waker
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way, so a poisoned lock guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        self.change(|state| state.limits.deadline = deadline);
    }

    pub(crate) fn set_timeout(&self, timeout: Option<Duration>) {
        self.change(|state| state.limits.timeout = timeout);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.state().limits.deadline
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.state().limits.timeout
    }

    /// Whether what would have to wait fails instead, the pending call included.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.change(|state| state.nonblocking = nonblocking);
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.state().nonblocking
    }

    /// Ends the pending call and refuses all later ones.
    pub(crate) fn close(&self) {
        self.change(|state| state.closed = true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let (taken, queued) = (state.taken, state.queued);
        drop(state);
        // The call that is in the system is told by the system, those that queue by the lane.
        if taken {
            self.waker.wake();
        }
        if queued > 0 {
            self.turn.notify_all();
        }
    }

    /// When a call by the one owner of the lane has to end (None: never), if it may block in the system at all: there is
    /// nothing to look at while it waits.
    #[cfg_attr(windows, allow(dead_code))] // for what Unix alone can do
    pub(crate) fn alone(&mut self) -> Option<Option<Instant>> {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A timeout counts from the call's start, which is known to the lane alone.
        let timed = state.limits.timeout.is_some();
        if state.closed || state.nonblocking || state.taken || timed {
            return None;
        }
        Some(state.limits.deadline)
    }

    /// Waits for the turn, within the lane's limits.
    pub(crate) fn enter(&self) -> Result<Turn<'_, W>, Failure> {
        self.enter_within(None)
    }

    /// The same for a call that has a timeout of its own.
    pub(crate) fn enter_within(&self, timeout: Option<Duration>) -> Result<Turn<'_, W>, Failure> {
        let mut state = self.state();
        let mut call = Call {
            began: None,
            timeout,
        };
        if timeout.or(state.limits.timeout).is_some() {
            call.began = Some(Instant::now());
        }
        loop {
            if state.closed {
                return Err(Failure::Closed);
            }
            state.limits.check()?;
            if !state.taken {
                state.taken = true;
                let nonblocking = state.nonblocking;
                return Ok(Turn {
                    lane: self,
                    call,
                    nonblocking,
                });
            }
            if state.nonblocking {
                return Err(Failure::WouldBlock);
            }
            let left = match state.limits.of(call) {
                None => None,
                Some((until, limit)) => match until.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => Some(left),
                    _ => return Err(Failure::TimedOut(limit)),
                },
            };
            state.queued += 1;
            if state.lenient {
                self.waker.wake();
            }
            state = match left {
                None => self
                    .turn
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.turn
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
            state.queued -= 1;
        }
    }

    /// Takes the turn if nobody has or wants it, and for as long as nobody does: then [`Turn::is_wanted`], and the lane's
    /// waker signals it.
    #[cfg_attr(unix, allow(dead_code))] // for what Windows alone has to do
    pub(crate) fn enter_leniently(&self) -> Option<Turn<'_, W>> {
        let mut state = self.state();
        if state.taken || state.queued > 0 || state.closed {
            return None;
        }
        (state.taken, state.lenient) = (true, true);
        Some(self.turn_without_limits())
    }

    /// Lets `time` go by, or less if the lane is closed meanwhile.
    pub(crate) fn pause(&self, time: Duration) {
        let mut state = self.state();
        state.queued += 1;
        let open = |state: &mut State| !state.closed;
        let (mut state, _) = self
            .turn
            .wait_timeout_while(state, time, open)
            .unwrap_or_else(PoisonError::into_inner);
        state.queued -= 1;
    }

    /// Waits for the turn whatever the deadlines and even if the lane is closed: for the one who clears up.
    pub(crate) fn enter_last(&self) -> Turn<'_, W> {
        let mut state = self.state();
        while state.taken {
            state.queued += 1;
            state = self
                .turn
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.queued -= 1;
        }
        state.taken = true;
        self.turn_without_limits()
    }

    fn turn_without_limits(&self) -> Turn<'_, W> {
        Turn {
            lane: self,
            call: Call {
                began: None,
                timeout: None,
            },
            nonblocking: false,
        }
    }
}

impl<W: Waker> Turn<'_, W> {
    #[cfg_attr(unix, allow(dead_code))] // for what Windows alone has to do
    pub(crate) fn waker(&self) -> &W {
        &self.lane.waker
    }

    /// Whether the call may not wait at all.
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking
    }

    /// Whether somebody waits for the turn.
    #[cfg_attr(unix, allow(dead_code))] // for what Windows alone has to do
    pub(crate) fn is_wanted(&self) -> bool {
        self.lane.state().queued > 0
    }

    /// How long the call may wait, or why it may not.
    fn limits(&self) -> Result<Option<(Instant, Limit)>, Failure> {
        let state = self.lane.state();
        match (state.closed, state.nonblocking) {
            (true, _) => Err(Failure::Closed),
            (_, true) => Err(Failure::WouldBlock),
            _ => Ok(state.limits.of(self.call)),
        }
    }

    /// Whether a call that goes on without having to wait still may.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let state = self.lane.state();
        if state.closed {
            return Err(Failure::Closed);
        }
        state.limits.check()
    }

    /// Carries `operation` to its result. Before the first wait it spins for `spin` on data that is about to come.
    ///
    /// It is one loop, that the operation's calls are to be put into: after a system call the first return to a caller
    /// is mispredicted, which on some processors costs half as much as the call, and so there is one for all of them.
    pub(crate) fn drive<O: Operation>(
        &self,
        operation: &mut O,
        spin: Option<Duration>,
    ) -> Result<O::Output, Failure> {
        let mut spin = spin.map(|spin| Instant::now().checked_add(spin));
        loop {
            if let Poll::Ready(result) = operation.poll() {
                return Ok(result?);
            }
            if let Some(end) = spin {
                if self.may_spin(end) {
                    std::hint::spin_loop();
                    continue;
                }
                spin = None;
            }
            let given_up = match self.limits() {
                Err(failure) => failure,
                Ok(limit) => match operation.wait(limit.map(|(until, _)| until)) {
                    Ok(Waited::Ready | Waited::Woken) => continue,
                    Ok(Waited::Expired) => {
                        Failure::TimedOut(limit.map_or(Limit::Deadline, |(_, limit)| limit))
                    }
                    Err(error) => Failure::System(error),
                },
            };
            return match operation.cancel() {
                Cancelled::Finished(result) => Ok(result?),
                Cancelled::Nothing => Err(given_up),
                Cancelled::Unknown => Err(Failure::Lost),
            };
        }
    }

    /// Whether a call that spins until `end` (None: for good) may go on with that.
    fn may_spin(&self, end: Option<Instant>) -> bool {
        let now = Instant::now();
        let within = |limit: Option<(Instant, Limit)>| limit.is_none_or(|(until, _)| now < until);
        end.is_none_or(|end| now < end) && self.limits().is_ok_and(within)
    }
}

/// The other direction of a stream, for a write that may have to read while it waits.
#[cfg_attr(unix, allow(dead_code))] // for what Windows alone has to do
pub(crate) enum Beside<'a, W: Waker> {
    /// Free for whoever takes its turn.
    Lane(&'a Lane<W>),
    /// Its turn is held by the one who writes.
    Turn(&'a Turn<'a, W>),
}

impl<W: Waker> Clone for Beside<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: Waker> Copy for Beside<'_, W> {}

impl<W: Waker> Drop for Turn<'_, W> {
    fn drop(&mut self) {
        let mut state = self.lane.state();
        (state.taken, state.lenient) = (false, false);
        let queued = state.queued > 0;
        drop(state);
        if queued {
            // All: one of them may be the one who clears up, and the others may find their deadline passed.
            self.lane.turn.notify_all();
        }
    }
}

#[cfg(test)]
mod tests;
