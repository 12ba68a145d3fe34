//! One direction of a stream, or a listener's accept: who is in the system, until when, and how a waiting call is moved.
//!
//! Nothing here knows a system. An [`Operation`] is what a system can do (start, wait, give up); [`Lane::drive`] is
//! the one state machine that carries it from its start to its result, through wake-ups, deadlines that move while it
//! waits, and a cancel that comes too late.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
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
    /// It had some effect, and the system cannot tell how much.
    Unknown,
    /// It had some effect, and the rest of it comes before what is next.
    #[cfg_attr(windows, allow(dead_code))] // there is nothing to go by
    Begun,
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
    first(until, Instant::now().checked_add(slice))
}

/// The first of two limits, where None is no limit.
fn first(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// How a call that waits in the system is made to look up.
pub(crate) trait Waker {
    /// Makes the present wait, or the next one, end with [`Waited::Woken`].
    fn wake(&self);
}

/// How a call through a lane failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The deadline passed, and the operation had no effect.
    TimedOut,
    /// The deadline passed, and nobody knows how much was done.
    Lost,
    /// The deadline passed with a part of a message sent, whose rest is kept.
    Begun,
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
    limits: Limits,
}

#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    /// Absolute, for all calls.
    deadline: Option<Instant>,
    /// For each call, from its start.
    timeout: Option<Duration>,
}

/// The right to be the one call in the system. Given back on drop.
#[derive(Debug)]
pub(crate) struct Turn<'a, W: Waker> {
    lane: &'a Lane<W>,
    /// When the call began; looked up only where a timeout asks for it.
    began: Option<Instant>,
}

impl Limits {
    fn until(&self, began: Option<Instant>) -> Option<Instant> {
        // A timeout that lies beyond what the clock can hold is no limit.
        let own = self
            .timeout
            .and_then(|t| began.unwrap_or_else(Instant::now).checked_add(t));
        first(self.deadline, own)
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

    /// Waits for the turn, within the lane's deadlines.
    pub(crate) fn enter(&self) -> Result<Turn<'_, W>, Failure> {
        let mut state = self.state();
        let began = state.limits.timeout.map(|_| Instant::now());
        loop {
            if state.closed {
                return Err(Failure::Closed);
            }
            let until = state.limits.until(began);
            // Looked at before anything is tried: past its deadline a call does nothing.
            let left = match until {
                None => None,
                Some(until) => match until.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => Some(left),
                    _ => return Err(Failure::TimedOut),
                },
            };
            if !state.taken {
                state.taken = true;
                return Ok(Turn { lane: self, began });
            }
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
    /// waker tells of it.
    #[cfg_attr(unix, allow(dead_code))] // for what Windows alone has to do
    pub(crate) fn enter_leniently(&self) -> Option<Turn<'_, W>> {
        let mut state = self.state();
        if state.taken || state.queued > 0 || state.closed {
            return None;
        }
        (state.taken, state.lenient) = (true, true);
        Some(Turn {
            lane: self,
            began: None,
        })
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
        Turn {
            lane: self,
            began: None,
        }
    }
}

impl<W: Waker> Turn<'_, W> {
    #[cfg_attr(unix, allow(dead_code))] // for what Windows alone has to do
    pub(crate) fn waker(&self) -> &W {
        &self.lane.waker
    }

    /// Whether somebody waits for the turn.
    #[cfg_attr(unix, allow(dead_code))] // for what Windows alone has to do
    pub(crate) fn is_wanted(&self) -> bool {
        self.lane.state().queued > 0
    }

    /// Whether the lane is closed, and how long a call may wait.
    fn limits(&self) -> (bool, Option<Instant>) {
        let state = self.lane.state();
        (state.closed, state.limits.until(self.began))
    }

    /// Whether a call that goes on without having to wait still may.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.limits() {
            (true, _) => Err(Failure::Closed),
            (_, Some(until)) if Instant::now() >= until => Err(Failure::TimedOut),
            _ => Ok(()),
        }
    }

    /// Carries `operation` to its result. Before the first wait it spins for `spin` on data that is about to come.
    pub(crate) fn drive<O: Operation>(
        &self,
        operation: &mut O,
        spin: Option<Duration>,
    ) -> Result<O::Output, Failure> {
        if let Poll::Ready(result) = operation.poll() {
            return Ok(result?);
        }
        if let Some(spin) = spin {
            let end = Instant::now().checked_add(spin);
            while end.is_none_or(|end| Instant::now() < end) {
                std::hint::spin_loop();
                if let Poll::Ready(result) = operation.poll() {
                    return Ok(result?);
                }
                let (closed, until) = self.limits();
                if closed || until.is_some_and(|until| Instant::now() >= until) {
                    break;
                }
            }
        }
        loop {
            let (closed, until) = self.limits();
            let waited = if closed {
                Ok(Waited::Expired)
            } else {
                operation.wait(until)
            };
            let given_up = match waited {
                Ok(Waited::Ready | Waited::Woken) => {
                    if let Poll::Ready(result) = operation.poll() {
                        return Ok(result?);
                    }
                    continue;
                }
                Ok(Waited::Expired) if closed => Failure::Closed,
                Ok(Waited::Expired) => Failure::TimedOut,
                Err(error) => Failure::System(error),
            };
            return match operation.cancel() {
                Cancelled::Finished(result) => Ok(result?),
                Cancelled::Nothing => Err(given_up),
                Cancelled::Unknown => Err(Failure::Lost),
                Cancelled::Begun => Err(Failure::Begun),
            };
        }
    }
}

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
mod tests {
    //! Against a simulated system: completions that come early or late, a cancel that loses its race.

    use super::*;
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug, Default)]
    struct Count(AtomicUsize);

    impl Waker for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Plays back what a system would say.
    struct Script {
        polls: VecDeque<Poll<io::Result<usize>>>,
        waits: VecDeque<io::Result<Waited>>,
        cancel: Option<Cancelled<usize>>,
    }

    impl Operation for Script {
        type Output = usize;

        fn poll(&mut self) -> Poll<io::Result<usize>> {
            self.polls.pop_front().expect("one more poll than scripted")
        }

        fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(Waited::Expired);
            }
            self.waits.pop_front().expect("one more wait than scripted")
        }

        fn cancel(&mut self) -> Cancelled<usize> {
            self.cancel.take().expect("cancelled against the script")
        }
    }

    fn run(
        lane: &Lane<Count>,
        polls: Vec<Poll<io::Result<usize>>>,
        waits: Vec<io::Result<Waited>>,
        cancel: Option<Cancelled<usize>>,
    ) -> Result<usize, Failure> {
        let mut script = Script {
            polls: polls.into(),
            waits: waits.into(),
            cancel,
        };
        let turn = lane.enter()?;
        turn.drive(&mut script, None)
    }

    #[test]
    fn an_early_completion_waits_for_nothing() {
        let lane = Lane::new(Count::default());
        let done = run(&lane, vec![Poll::Ready(Ok(7))], vec![], None);
        assert_eq!(done.unwrap(), 7);
    }

    #[test]
    fn a_late_completion_is_waited_for_through_false_alarms() {
        let lane = Lane::new(Count::default());
        let done = run(
            &lane,
            vec![
                Poll::Pending,
                Poll::Pending,
                Poll::Pending,
                Poll::Ready(Ok(3)),
            ],
            vec![Ok(Waited::Woken), Ok(Waited::Ready), Ok(Waited::Ready)],
            None,
        );
        assert_eq!(done.unwrap(), 3);
    }

    #[test]
    fn a_cancel_that_loses_its_race_delivers_the_data() {
        let lane = Lane::new(Count::default());
        let done = run(
            &lane,
            vec![Poll::Pending],
            vec![Ok(Waited::Expired)],
            Some(Cancelled::Finished(Ok(5))),
        );
        assert_eq!(done.unwrap(), 5);
    }

    #[test]
    fn a_deadline_that_comes_during_the_wait_ends_it() {
        let lane = Lane::new(Count::default());
        let failed = run(
            &lane,
            vec![Poll::Pending],
            vec![Ok(Waited::Expired)],
            Some(Cancelled::Nothing),
        );
        assert!(matches!(failed, Err(Failure::TimedOut)), "{failed:?}");
        let lost = run(
            &lane,
            vec![Poll::Pending],
            vec![Ok(Waited::Expired)],
            Some(Cancelled::Unknown),
        );
        assert!(matches!(lost, Err(Failure::Lost)), "{lost:?}");
    }

    #[test]
    fn a_wait_that_fails_still_looks_at_the_operation() {
        let lane = Lane::new(Count::default());
        let failing = || vec![Err(io::Error::from(io::ErrorKind::OutOfMemory))];
        let done = run(
            &lane,
            vec![Poll::Pending],
            failing(),
            Some(Cancelled::Finished(Ok(2))),
        );
        assert_eq!(done.unwrap(), 2);
        let failed = run(
            &lane,
            vec![Poll::Pending],
            failing(),
            Some(Cancelled::Nothing),
        );
        assert!(matches!(failed, Err(Failure::System(_))), "{failed:?}");
    }

    #[test]
    fn a_past_deadline_tries_nothing_and_a_later_one_revives_the_lane() {
        let lane = Lane::new(Count::default());
        lane.set_deadline(Some(Instant::now()));
        let failed = run(&lane, vec![], vec![], None);
        assert!(matches!(failed, Err(Failure::TimedOut)), "{failed:?}");
        lane.set_deadline(None);
        let done = run(&lane, vec![Poll::Ready(Ok(1))], vec![], None);
        assert_eq!(done.unwrap(), 1);
        assert_eq!(lane.waker().0.load(Ordering::SeqCst), 0, "nobody waited");
    }

    #[test]
    fn a_lenient_turn_is_told_when_it_is_wanted() {
        let lane = Lane::new(Count::default());
        let turn = lane.enter_leniently().unwrap();
        assert!(!turn.is_wanted());
        assert!(lane.enter_leniently().is_none());
        std::thread::scope(|scope| {
            let wants = scope.spawn(|| lane.enter().map(drop));
            while !turn.is_wanted() {
                std::thread::yield_now();
            }
            assert_eq!(lane.waker().0.load(Ordering::SeqCst), 1, "told once");
            drop(turn);
            wants.join().unwrap().unwrap();
        });
        drop(lane.enter().unwrap());
    }

    #[test]
    fn who_queues_for_the_turn_obeys_deadlines_and_close() {
        let lane = Lane::new(Count::default());
        let turn = lane.enter().unwrap();
        std::thread::scope(|scope| {
            let queued = scope.spawn(|| lane.enter().map(drop));
            lane.set_deadline(Some(Instant::now()));
            assert!(matches!(queued.join().unwrap(), Err(Failure::TimedOut)));
            lane.set_deadline(None);
            let queued = scope.spawn(|| lane.enter().map(drop));
            lane.close();
            assert!(matches!(queued.join().unwrap(), Err(Failure::Closed)));
        });
        assert!(
            lane.waker().0.load(Ordering::SeqCst) >= 1,
            "the holder is woken"
        );
        drop(turn);
        drop(lane.enter_last());
    }
}
