//! Tasks that wait for one thing: who is woken, in which order, and what becomes of a wake-up whose task has gone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The tasks that wait, in the order in which they came.
///
/// As a [`Waker`] of its own it wakes one of them. A task that was woken and has taken what came passes the wake-up on
/// ([`Place::pass_on`]), since there may be more; one that is dropped before it has looked passes it on as well.
#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    tasks: VecDeque<(u64, Waker)>,
}

/// A task's place in a queue. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    queue: &'a Queue,
    number: Option<u64>,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics half way, so a poisoned lock guards a whole state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a task that does not wait yet.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            queue: self,
            number: None,
        }
    }

    pub(crate) fn wake_next(&self) {
        let first = self.waiting().tasks.pop_front();
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }

    pub(crate) fn wake_all(&self) {
        let all = std::mem::take(&mut self.waiting().tasks);
        for (_, waker) in all {
            waker.wake();
        }
    }
}

impl Wake for Queue {
    fn wake(self: Arc<Self>) {
        self.wake_next();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_next();
    }
}

impl Place<'_> {
    /// Waits, from before one looks whether there is anything to wait for: then no wake-up is lost.
    pub(crate) fn wait(&mut self, waker: &Waker) {
        let mut waiting = self.queue.waiting();
        let number = *self.number.get_or_insert_with(|| {
            waiting.next += 1;
            waiting.next
        });
        match waiting.tasks.iter_mut().find(|(it, _)| *it == number) {
            Some((_, known)) => known.clone_from(waker),
            None => waiting.tasks.push_back((number, waker.clone())),
        }
    }

    /// Leaves the queue. Whether the task had been woken since it last waited.
    fn leave(&mut self) -> bool {
        let Some(number) = self.number.take() else {
            return false;
        };
        let mut waiting = self.queue.waiting();
        let at = waiting.tasks.iter().position(|(it, _)| *it == number);
        at.and_then(|at| waiting.tasks.remove(at)).is_none()
    }

    /// Something has come and was taken: there may be more for the others.
    pub(crate) fn pass_on(&mut self) {
        self.leave();
        self.queue.wake_next();
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.leave() {
            self.queue.wake_next();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Count {
        fn get(&self) -> u32 {
            self.0.load(Ordering::SeqCst)
        }
    }

    fn task() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (count.clone(), count.into())
    }

    #[test]
    fn one_is_woken_at_a_time_in_order() {
        let queue = Queue::default();
        let ((first, a), (second, b)) = (task(), task());
        let (mut at_a, mut at_b) = (queue.place(), queue.place());
        at_a.wait(&a);
        at_b.wait(&b);
        at_a.wait(&a); // keeps its place
        queue.wake_next();
        assert_eq!((first.get(), second.get()), (1, 0));
        at_a.pass_on();
        assert_eq!((first.get(), second.get()), (1, 1));
    }

    #[test]
    fn a_wake_up_is_passed_on_by_a_task_that_goes_and_not_by_one_that_had_none() {
        let queue = Queue::default();
        let ((_, a), (second, b), (_, c)) = (task(), task(), task());
        let (mut at_a, mut at_b, mut at_c) = (queue.place(), queue.place(), queue.place());
        at_a.wait(&a);
        at_b.wait(&b);
        at_c.wait(&c);
        drop(at_c);
        assert_eq!(second.get(), 0);
        queue.wake_next();
        drop(at_a);
        assert_eq!(second.get(), 1);
    }

    #[test]
    fn all_are_woken_at_once() {
        let queue = Queue::default();
        let ((first, a), (second, b)) = (task(), task());
        let (mut at_a, mut at_b) = (queue.place(), queue.place());
        at_a.wait(&a);
        at_b.wait(&b);
        queue.wake_all();
        assert_eq!((first.get(), second.get()), (1, 1));
    }
}
