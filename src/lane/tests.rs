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
    assert!(matches!(failed, Err(Failure::TimedOut(_))), "{failed:?}");
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
    assert!(matches!(failed, Err(Failure::TimedOut(_))), "{failed:?}");
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
        assert!(matches!(queued.join().unwrap(), Err(Failure::TimedOut(_))));
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
