//! A simulated system, and every order of events up to a length: completions that come early or late, packets that come
//! late, twice or for nothing, cancels that lose their race, futures dropped and streams closed at every point.

mod reader;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

use super::wakers::Who;

#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One that waits, or does not.
struct Task {
    who: Who,
    count: Arc<Count>,
    waker: Waker,
    waits: bool,
}

impl Task {
    fn new() -> Task {
        let count = Arc::new(Count::default());
        Task {
            who: Who::new(),
            waker: count.clone().into(),
            count,
            waits: false,
        }
    }

    fn is_asleep(&self) -> bool {
        self.waits && self.count.0.load(Ordering::SeqCst) == 0
    }

    fn polled<T>(&mut self, poll: Poll<T>) -> Option<T> {
        match poll {
            Poll::Ready(value) => {
                self.waits = false;
                Some(value)
            }
            Poll::Pending => None,
        }
    }

    fn begins(&mut self) {
        self.waits = true;
        self.count.0.store(0, Ordering::SeqCst);
    }
}

/// Runs `play` with every sequence of `length` events. It returns how many of them it has played before one that could not
/// happen; what begins so is not tried again.
fn every_order(events: usize, length: usize, mut play: impl FnMut(&[usize]) -> usize) {
    let mut order = vec![0; length];
    loop {
        let played = play(&order);
        let mut at = played.min(length - 1);
        order[at + 1..].fill(0);
        loop {
            order[at] += 1;
            if order[at] < events {
                break;
            }
            if at == 0 {
                return;
            }
            order[at] = 0;
            at -= 1;
        }
    }
}

/// Long orders, by a generator of numbers that is the same every time.
fn many_orders(events: usize, length: usize, runs: usize, mut play: impl FnMut(&[usize]) -> usize) {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut order = vec![0; length];
    for _ in 0..runs {
        for event in &mut order {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            *event = (seed >> 33) as usize % events;
        }
        // What cannot happen is left out.
        loop {
            let at = play(&order);
            if at == order.len() {
                break;
            }
            order.remove(at);
        }
        order.resize(length, 0);
    }
}
