//! A reader's events.

use std::collections::VecDeque;
use std::io;
use std::task::Poll;

use super::super::reading::Reading;
use super::super::system::Source;
use super::super::wakers::Woken;
use super::{Task, every_order, many_orders};
use crate::kinds::{Part, PipeMode};

#[derive(Debug, Clone, PartialEq)]
enum Op {
    None,
    Pending,
    /// The status word is written.
    Done(Result<Part, i32>),
}

const END: i32 = 109;
const ABORTED: i32 = 995;
const FAULT: i32 = 1450;

/// The system's side of a reading direction.
struct Reader {
    mode: PipeMode,
    /// Whether what is there at once brings no packet.
    skip: bool,
    /// Messages; of a byte pipe, bytes in pieces.
    pipe: VecDeque<Vec<u8>>,
    /// The rest of a message is first.
    peer_gone: bool,
    op: Op,
    memory: Vec<u8>,
    taken: bool,
    packets: usize,
    open: bool,
    cancelled: bool,
    /// What is asked for next fails, once.
    fault: bool,
    faults: usize,
}

impl Reader {
    fn there(&self) -> bool {
        !self.pipe.is_empty() || self.peer_gone || self.fault
    }

    /// What the pipe gives to a buffer.
    fn give(&mut self, buffer: &mut [u8]) -> Result<Part, i32> {
        if std::mem::take(&mut self.fault) {
            self.faults += 1;
            return Err(FAULT);
        }
        let mut len = 0;
        while let Some(piece) = self.pipe.front_mut() {
            let n = piece.len().min(buffer.len() - len);
            buffer[len..len + n].copy_from_slice(&piece[..n]);
            piece.drain(..n);
            len += n;
            let complete = piece.is_empty();
            if complete {
                self.pipe.pop_front();
            }
            if self.mode == PipeMode::Message {
                return Ok(Part { len, complete });
            }
            if len == buffer.len() {
                break;
            }
        }
        if len == 0 {
            return Err(END);
        }
        Ok(Part {
            len,
            complete: true,
        })
    }

    /// The pending read comes to its end.
    fn complete(&mut self) -> bool {
        if self.op != Op::Pending || !(self.there() || self.cancelled) {
            return false;
        }
        let done = match self.there() {
            true => {
                let mut memory = std::mem::take(&mut self.memory);
                let done = self.give(&mut memory);
                self.memory = memory;
                done
            }
            false => Err(ABORTED),
        };
        self.cancelled = false;
        self.op = Op::Done(done);
        self.packets += 1;
        true
    }
}

impl Source for Reader {
    const SMALL: usize = 2;

    fn start(&mut self, want: usize) -> Poll<io::Result<Part>> {
        assert!(self.open, "a read on a handle that is closed");
        assert_eq!(self.op, Op::None, "a second read");
        assert!(!self.taken, "memory that is still in use");
        self.memory = vec![0; want.min(5)];
        self.taken = true;
        self.op = Op::Pending;
        if self.there() {
            self.complete();
            if self.skip {
                self.packets -= 1;
            }
            return self.look();
        }
        Poll::Pending
    }

    fn look(&mut self) -> Poll<io::Result<Part>> {
        match std::mem::replace(&mut self.op, Op::None) {
            Op::None => panic!("looked at nothing"),
            Op::Pending => {
                self.op = Op::Pending;
                Poll::Pending
            }
            Op::Done(Err(ABORTED)) => Poll::Ready(Err(io::ErrorKind::Interrupted.into())),
            Op::Done(done) => Poll::Ready(done.map_err(io::Error::from_raw_os_error)),
        }
    }

    fn room(&self) -> &[u8] {
        assert_ne!(self.op, Op::Pending, "the system's memory");
        &self.memory
    }

    fn emptied(&mut self) {
        assert_ne!(self.op, Op::Pending, "the system's memory");
        self.taken = false;
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<Part>> {
        assert!(self.open && self.op == Op::None);
        if !self.there() {
            return Ok(None);
        }
        let given = self.give(buffer);
        given.map(Some).map_err(io::Error::from_raw_os_error)
    }

    fn cancel(&mut self) {
        self.cancelled = true;
    }

    fn close(&mut self) {
        assert!(self.open, "closed twice");
        self.open = false;
        self.cancelled = true;
    }
}

/// What a reader of parts makes of them.
#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    messages: Vec<Vec<u8>>,
    begun: Vec<u8>,
    ended: bool,
    faults: usize,
}

impl Received {
    fn take(&mut self, read: io::Result<Part>, buffer: &[u8]) {
        assert!(!self.ended, "more after the end");
        match read {
            Ok(part) => {
                self.bytes.extend(&buffer[..part.len]);
                self.begun.extend(&buffer[..part.len]);
                if part.complete {
                    self.messages.push(std::mem::take(&mut self.begun));
                }
            }
            Err(error) if error.raw_os_error() == Some(FAULT) => self.faults += 1,
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(END));
                self.ended = true;
            }
        }
    }
}

/// Plays one order of events for a reader: how many could happen.
fn read_in_order(mode: PipeMode, skip: bool, ahead: bool, order: &[usize]) -> usize {
    let mut reading = Reading::new(
        Reader {
            mode,
            skip,
            pipe: VecDeque::new(),
            peer_gone: false,
            op: Op::None,
            memory: Vec::new(),
            taken: false,
            packets: 0,
            open: true,
            cancelled: false,
            fault: false,
            faults: 0,
        },
        mode,
    );
    let mut tasks = [Task::new(), Task::new()];
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut next = 0_u8;
    let mut received = Received::default();
    let mut closed = false;

    for (played, &event) in order.iter().enumerate() {
        let mut woken = Woken::default();
        let system = reading.source_mut();
        let possible = match event {
            // The peer writes.
            0..=2 if !system.peer_gone => {
                let len = match (event, mode) {
                    (0, PipeMode::Message) => 0,
                    (0, PipeMode::Byte) | (1, _) => 1,
                    _ => 7,
                };
                let piece: Vec<u8> = (0..len).map(|i: u8| next.wrapping_add(i)).collect();
                next = next.wrapping_add(len);
                sent.push(piece.clone());
                system.pipe.push_back(piece);
                true
            }
            3 if !system.peer_gone => {
                system.peer_gone = true;
                true
            }
            // The system writes its status word.
            4 => system.complete(),
            // A packet is handled.
            5 if system.packets > 0 => {
                system.packets -= 1;
                reading.completed(&mut woken);
                if ahead {
                    reading.read_ahead(&mut woken);
                }
                true
            }
            // A task polls, with little room or much.
            6..=8 if !closed && !received.ended => {
                let task = &mut tasks[usize::from(event == 8)];
                let mut buffer = [0; 12];
                let room = if event == 7 { 12 } else { 1 };
                task.begins();
                let waiter = Some((task.who, &task.waker));
                let poll = reading.poll(waiter, &mut buffer[..room], &mut woken);
                if let Some(read) = task.polled(poll) {
                    received.take(read, &buffer);
                }
                true
            }
            9 if !closed && !received.ended => {
                let task = &mut tasks[1];
                task.begins();
                let poll = reading.poll_ready(Some((task.who, &task.waker)), &mut woken);
                task.polled(poll);
                true
            }
            // A future is dropped.
            10 if tasks[0].waits => {
                tasks[0].waits = false;
                reading.forget(tasks[0].who);
                true
            }
            // The stream is.
            11 if !closed => {
                closed = true;
                for task in &mut tasks {
                    task.waits = false;
                }
                reading.close();
                true
            }
            // Somebody else cancels it.
            13 if !closed && system.op == Op::Pending => {
                reading.cancel();
                true
            }
            12 if !system.fault && !system.peer_gone => {
                system.fault = true;
                true
            }
            _ => false,
        };
        if !possible {
            return played;
        }
        woken.wake();
        let system = reading.source();
        let hint = system.op == Op::Pending || system.packets > 0;
        for task in &tasks {
            assert!(!task.is_asleep() || hint, "nobody will ever wake it");
        }
        assert_eq!(reading.is_clear(), system.op == Op::None);
        if closed && reading.is_clear() {
            assert!(!system.taken, "memory that nobody gives back");
        }
    }

    let mut woken = Woken::default();
    reading.source_mut().complete();
    if closed {
        while reading.source().packets > 0 {
            reading.source_mut().packets -= 1;
            reading.completed(&mut woken);
        }
        assert!(reading.is_clear(), "memory that the system keeps");
        return order.len();
    }
    // What is here already, as a stream takes it along that goes on without this.
    reading.cancel();
    reading.source_mut().complete();
    reading.completed(&mut woken);
    for (bytes, complete) in reading.take_all().into_iter().flatten() {
        let part = Part {
            len: bytes.len(),
            complete,
        };
        received.take(Ok(part), &bytes);
    }
    // The rest is there, in order and once.
    reading.source_mut().peer_gone = true;
    while !received.ended {
        let mut buffer = [0; 3];
        reading.source_mut().complete();
        if let Poll::Ready(read) = reading.poll(None, &mut buffer, &mut woken) {
            received.take(read, &buffer);
        }
    }
    assert_eq!(received.bytes, sent.concat());
    assert_eq!(received.faults, reading.source().faults);
    if mode == PipeMode::Message {
        assert!(received.begun.is_empty());
        assert_eq!(received.messages, sent);
    }
    order.len()
}

/// How many kinds of events there are.
const READ_EVENTS: usize = 14;

#[test]
fn nothing_is_lost_and_nobody_sleeps_for_ever_in_any_order_of_a_readers_events() {
    for mode in [PipeMode::Byte, PipeMode::Message] {
        for (skip, ahead) in [(true, false), (false, false), (true, true), (false, true)] {
            let length = if skip && !ahead { 5 } else { 4 };
            every_order(READ_EVENTS, length, |order| {
                read_in_order(mode, skip, ahead, order)
            });
            many_orders(READ_EVENTS, 40, 3000, |order| {
                read_in_order(mode, skip, ahead, order)
            });
        }
    }
}
