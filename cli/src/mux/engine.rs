//! The multiplexer at work. Whoever has something for it lets it do what can be done, then and there: handing that to
//! another thread would cost a connection several times as long as all the rest. A thread of its own does what is
//! left over.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::frame::Role;
use super::park::Park;
use super::wire::{Tap, Wire};

/// So many connections at once. The end that they come to takes more, since it may learn late that one has ended.
pub const MOST: usize = 4096;
const MOST_TAKEN: usize = 2 * MOST;

pub struct Engine {
    pub wire: Arc<Wire>,
    /// None: it is over.
    connection: Mutex<Option<yamux::Connection<Tap>>>,
    wanted: Mutex<Vec<Sender<yamux::Stream>>>,
    /// None: it is over.
    arrive: Mutex<Option<Sender<yamux::Stream>>>,
    signal: Arc<Signal>,
    over: Mutex<bool>,
    ended: Condvar,
}

/// Something can be done.
#[derive(Default)]
struct Signal {
    pending: AtomicBool,
    thread: Arc<Park>,
}

thread_local! {
    /// This thread is about to do itself what it is woken for.
    // It is const, which clippy 1.96 overlooks for Windows.
    #[allow(clippy::missing_const_for_thread_local)]
    static AT_IT: Cell<bool> = const { Cell::new(false) };
}

impl Wake for Signal {
    fn wake(self: Arc<Signal>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Signal>) {
        self.pending.store(true, Ordering::SeqCst);
        if !AT_IT.get() {
            self.thread.wake_by_ref();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    pub fn new(wire: Arc<Wire>, role: Role, arrive: Sender<yamux::Stream>) -> Engine {
        let mut config = yamux::Config::default();
        config
            .set_max_connection_receive_window(None)
            .set_max_num_streams(MOST_TAKEN)
            .set_max_connection_receive_window(Some(MOST_TAKEN * yamux::DEFAULT_CREDIT as usize));
        let mode = match role {
            Role::Listens => yamux::Mode::Client,
            Role::Dials => yamux::Mode::Server,
        };
        let connection = yamux::Connection::new(Tap(wire.clone()), config, mode);
        Engine {
            wire,
            connection: Mutex::new(Some(connection)),
            wanted: Mutex::default(),
            arrive: Mutex::new(Some(arrive)),
            signal: Arc::default(),
            over: Mutex::new(false),
            ended: Condvar::new(),
        }
    }

    /// What nobody else does, until it is over.
    pub fn run(&self) {
        self.signal.pending.store(true, Ordering::SeqCst);
        while !*lock(&self.over) {
            self.attend(|| ());
            self.signal.thread.wait(None);
        }
    }

    /// Does `what` to the multiplexer, and then what it wants done.
    pub fn attend<T>(&self, what: impl FnOnce() -> T) -> T {
        AT_IT.set(true);
        let result = what();
        self.drive();
        AT_IT.set(false);
        self.wire.kick();
        result
    }

    /// The same, and what it writes is written at once. It may have to wait for that.
    pub fn attend_and_write<T>(&self, what: impl FnOnce() -> T) -> T {
        AT_IT.set(true);
        let result = what();
        self.drive();
        AT_IT.set(false);
        self.wire.flush();
        result
    }

    pub fn waker(&self) -> Waker {
        Waker::from(self.signal.clone())
    }

    fn drive(&self) {
        while self.signal.pending.load(Ordering::SeqCst) {
            // Whoever is at it looks again once it is done.
            let Ok(mut connection) = self.connection.try_lock() else {
                return;
            };
            self.signal.pending.store(false, Ordering::SeqCst);
            let Some(alive) = &mut *connection else {
                lock(&self.wanted).clear();
                continue;
            };
            if !self.poll(alive) {
                // Dropped, it tells all its connections.
                *connection = None;
                drop(connection);
                self.end();
            }
        }
    }

    /// False: it is over.
    fn poll(&self, connection: &mut yamux::Connection<Tap>) -> bool {
        let waker = self.waker();
        let mut context = Context::from_waker(&waker);
        loop {
            match connection.poll_next_inbound(&mut context) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(stream))) => {
                    // One that nobody waits for is dropped, and so reset.
                    if let Some(arrive) = &*lock(&self.arrive) {
                        let _ = arrive.send(stream);
                    }
                }
                Poll::Ready(None | Some(Err(_))) => return false,
            }
        }
        let mut wanted = lock(&self.wanted);
        while let Some(give) = wanted.pop() {
            match connection.poll_new_outbound(&mut context) {
                Poll::Ready(Ok(stream)) => {
                    let _ = give.send(stream);
                    // What a new one says is heard only once the multiplexer has looked at it.
                    self.signal.pending.store(true, Ordering::SeqCst);
                }
                Poll::Ready(Err(_)) => return false,
                // So many have not been seen by the other end yet: it wakes us.
                Poll::Pending => {
                    wanted.push(give);
                    break;
                }
            }
        }
        true
    }

    /// `give` gets a connection, or is dropped.
    pub fn want(&self, give: Sender<yamux::Stream>) {
        self.attend(|| {
            lock(&self.wanted).push(give);
            self.waker().wake();
        });
    }

    fn end(&self) {
        self.wire.end();
        // Who waits for a connection is told by its channel's end.
        lock(&self.wanted).clear();
        *lock(&self.arrive) = None;
        *lock(&self.over) = true;
        self.ended.notify_all();
        self.signal.thread.wake_by_ref();
    }

    pub fn is_over(&self) -> bool {
        *lock(&self.over)
    }

    pub fn wait_end(&self) {
        let mut over = lock(&self.over);
        while !*over {
            over = self
                .ended
                .wait(over)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}
