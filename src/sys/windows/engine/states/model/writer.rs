//! A writer's events.

use std::io;
use std::task::Poll;

use super::super::system::Sink;
use super::super::wakers::Woken;
use super::super::writing::{Sending, Writing};
use super::{Task, every_order, many_orders};

const END: i32 = 109;

/// The system's side of a writing direction.
#[derive(Default)]
struct Writer {
    /// Takes everything at once.
    quick: bool,
    owned: Vec<u8>,
    op: Option<bool>,
    failing: bool,
    out: Vec<Vec<u8>>,
    packets: usize,
    closed: usize,
}

impl Writer {
    fn complete(&mut self) -> bool {
        if self.op != Some(false) {
            return false;
        }
        self.op = Some(true);
        self.packets += 1;
        if !self.failing {
            self.out.push(self.owned.clone());
        }
        true
    }
}

impl Sink for Writer {
    const AHEAD: usize = 2;

    fn take(&mut self, bytes: &[u8], whole: bool) -> usize {
        assert_eq!(self.op, None, "the system's memory");
        // A pool that is empty.
        let len = if whole {
            bytes.len()
        } else {
            bytes.len().min(2)
        };
        self.owned = bytes[..len].to_vec();
        len
    }

    fn start(&mut self) -> Poll<io::Result<usize>> {
        assert_eq!((self.op, self.closed), (None, 0));
        self.op = Some(false);
        if self.quick {
            self.complete();
            return self.look();
        }
        Poll::Pending
    }

    fn look(&mut self) -> Poll<io::Result<usize>> {
        match self.op {
            None => panic!("looked at nothing"),
            Some(false) => Poll::Pending,
            Some(true) => {
                self.op = None;
                Poll::Ready(match self.failing {
                    true => Err(io::Error::from_raw_os_error(END)),
                    false => Ok(self.owned.len()),
                })
            }
        }
    }

    fn close(&mut self) {
        assert_eq!(self.op, None, "closed under a write");
        self.closed += 1;
    }
}

fn write_in_order(order: &[usize]) -> usize {
    let mut writing = Writing::new(Writer::default());
    let mut tasks = [Task::new(), Task::new()];
    let mut sending = Sending::default();
    // What was taken, whole or in part, in order.
    let mut accepted: Vec<Vec<u8>> = Vec::new();
    let mut next = 0_u8;
    let mut failed = false;
    let mut closed = false;
    for (played, &event) in order.iter().enumerate() {
        let mut woken = Woken::default();
        let possible = match event {
            0 => {
                writing.sink_mut().quick ^= true;
                true
            }
            1 => writing.sink_mut().complete(),
            2 if writing.sink().packets > 0 => {
                writing.sink_mut().packets -= 1;
                writing.completed(&mut woken);
                true
            }
            // A write of a task's, or of the other's.
            3 if !closed => {
                let bytes = [next, next + 1, next + 2];
                let task = &mut tasks[0];
                task.begins();
                let waiter = Some((task.who, &task.waker));
                let poll = writing.poll_write(waiter, &bytes, &mut woken);
                match task.polled(poll) {
                    Some(Ok(len)) => {
                        accepted.push(bytes[..len].to_vec());
                        next += 3;
                    }
                    Some(Err(_)) => failed = true,
                    None => {}
                }
                true
            }
            // A long message: its number is its content.
            4 if !closed => {
                let message = [100 + accepted.len() as u8; 5];
                let task = &mut tasks[1];
                task.begins();
                let waiter = Some((task.who, &task.waker));
                let fresh = !sending.has_begun();
                let poll = writing.poll_send(waiter, &message, &mut sending, &mut woken);
                if fresh && (sending.has_begun() || matches!(poll, Poll::Ready(Ok(())))) {
                    accepted.push(message.to_vec());
                }
                match task.polled(poll) {
                    Some(Ok(())) => sending = Sending::default(),
                    Some(Err(_)) => failed = true,
                    None => {}
                }
                true
            }
            5 if !closed => {
                let task = &mut tasks[0];
                task.begins();
                let poll = writing.poll_flush(Some((task.who, &task.waker)), &mut woken);
                if let Some(Ok(())) = task.polled(poll) {
                    assert_eq!(writing.sink().out, accepted, "flushed, and not out");
                }
                true
            }
            // Futures are dropped: what had begun goes on.
            6 if tasks[1].waits => {
                tasks[1].waits = false;
                sending = Sending::default();
                writing.forget(tasks[1].who);
                true
            }
            7 if tasks[0].waits => {
                tasks[0].waits = false;
                writing.forget(tasks[0].who);
                true
            }
            8 if !closed => {
                closed = true;
                tasks[0].waits = false;
                tasks[1].waits = false;
                writing.close();
                true
            }
            9 if !writing.sink().failing => {
                writing.sink_mut().failing = true;
                true
            }
            _ => false,
        };
        if !possible || failed && event == 9 {
            return played;
        }
        woken.wake();
        let system = writing.sink();
        let hint = system.op == Some(false) || system.packets > 0;
        for task in &tasks {
            assert!(!task.is_asleep() || hint, "nobody will ever wake it");
        }
        assert_eq!(writing.is_clear(), system.op.is_none());
        assert_eq!(
            system.closed == 1,
            closed && writing.is_clear(),
            "the handle lives as long as the write"
        );
    }
    writing.sink_mut().complete();
    writing.completed(&mut Woken::default());
    let system = writing.sink();
    assert_eq!(system.out, accepted[..system.out.len()]);
    if !system.failing {
        assert_eq!(system.out, accepted, "taken, and not out");
    }
    assert_eq!(system.closed == 1, closed);
    order.len()
}

const WRITE_EVENTS: usize = 10;

#[test]
fn what_was_taken_goes_out_once_and_in_order_in_any_order_of_a_writers_events() {
    every_order(WRITE_EVENTS, 6, write_in_order);
    many_orders(WRITE_EVENTS, 40, 5000, write_in_order);
}
