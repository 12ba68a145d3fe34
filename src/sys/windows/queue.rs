//! The instances of a pipe that no stream has: made ahead of `accept`, each waiting for a client of its own.
//!
//! An instance's life: made and bound to a completion port, with a [`Key`] that no other handle has; *pending* while it
//! waits for a client, its `OVERLAPPED` the system's; *ready* once a packet has told that a client came; then a stream's.
//! Pending, ready and streams together are never more than the slots allow, and there is always at least one of them, so that
//! the name is never anybody else's: before a stream closes its instance, the next one is made. (For that moment there is one
//! more for each such stream, so the system is given no limit.) If that fails and the last stream goes, so does the
//! name, and the next instance takes it anew, where nobody else has it by then.
//!
//! A listener of tasks is bound before their port is known: until then its first instance is *first*, made, so that the name
//! is held, and bound to no port yet. (To take back one that waits already would lose a client that comes meanwhile.)
//!
//! Nothing here waits for a packet: whoever reads the port hands over what comes.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation::ERROR_FILE_NOT_FOUND;

use super::aside;
use super::os::{self, AsOurselves, Instance, Key, Listening, Overlapped, Port};
use crate::slots::Slots;

/// How many clients may have come and not been accepted, in backlogs.
const AHEAD: usize = 4;

pub(super) struct Queue {
    port: Arc<Port>,
    /// Whoever uses the queue reads the port; else somebody else does.
    reads_port: bool,
    making: Arc<Instance>,
    backlog: usize,
    /// How many instances are streams'.
    open: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    first: Option<OwnedHandle>,
    pending: Vec<Pending>,
    ready: VecDeque<Came>,
    /// To which nobody came and nobody will: closed once there are others in their place.
    spent: Vec<OwnedHandle>,
    phase: Phase,
    /// Whoever closes it does not wait for that.
    left: bool,
    /// The instances of the one whose place it takes hold the name.
    beside: bool,
    /// Whoever comes while this closes is its.
    heir: Option<Arc<Queue>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Open,
    /// What waits was cancelled, and the system has not released all of it.
    Closing,
    /// There are no instances left but the streams'.
    Closed,
}

/// An instance that waits for its client. The system holds the `OVERLAPPED` until its packet has come.
struct Pending {
    key: Key,
    overlapped: Box<UnsafeCell<Overlapped>>,
    /// None once the wait was given up.
    handle: Option<OwnedHandle>,
}

impl Pending {
    /// Ends the wait, and gives the handle to be closed, or kept. (To close it would end the wait as well. But Wine 10's server
    /// frees a wait twice whose handle is closed while the thread that began it is ending: `free_async_queue` in
    /// `server/async.c`.)
    fn cancel(&mut self) -> Option<OwnedHandle> {
        let handle = self.handle.take()?;
        // SAFETY: it was started, and its packet has not been taken out yet.
        unsafe { os::cancel(&handle, self.overlapped.get()) };
        Some(handle)
    }
}

// SAFETY: the OVERLAPPED has no tie to a thread. It is the system's until its packet has come, and after that it is read by
// the one thread that has taken this out of the state under the queue's lock.
unsafe impl Send for Pending {}

/// An instance with its client.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) handle: OwnedHandle,
    /// That of its packets in the queue's port. None: it is bound to another.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(super) key: Option<Key>,
    pub(super) open: Open,
}

/// Counts an instance as a stream's until it is dropped, which has to be after the handle is closed.
#[derive(Debug)]
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Open {
        count.fetch_add(1, Ordering::SeqCst);
        Open(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    /// Whatever the instances wait for is told by packets of `port`.
    pub(super) fn new(port: Arc<Port>, making: Instance, backlog: usize) -> Queue {
        Queue {
            port,
            reads_port: true,
            making: Arc::new(making),
            backlog,
            open: Arc::default(),
            state: Mutex::default(),
        }
    }

    /// One at another port, that is to take the place of this one: [`close_for`](Queue::close_for).
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(super) fn successor(&self, port: Arc<Port>, reads_port: bool) -> Queue {
        Queue {
            port,
            reads_port,
            making: self.making.clone(),
            backlog: self.backlog,
            open: self.open.clone(),
            state: Mutex::new(State {
                beside: true,
                ..State::default()
            }),
        }
    }

    pub(super) fn making(&self) -> &Instance {
        &self.making
    }

    pub(super) fn reads_port(&self) -> bool {
        self.reads_port
    }

    pub(super) fn port(&self) -> &Arc<Port> {
        &self.port
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way, so a poisoned lock guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it closes by itself: see [`close_aside`](Queue::close_aside).
    pub(super) fn is_left(&self) -> bool {
        self.state().left
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Begins with the first instance of the name.
    pub(super) fn begin(&self, first: OwnedHandle) -> io::Result<()> {
        self.put_up(&mut self.state(), first)
    }

    /// Keeps the first instance of the name for the queue that takes the place of this one.
    pub(super) fn keep_first(&self, first: OwnedHandle) {
        self.state().first = Some(first);
    }

    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(super) fn take_first(&self) -> Option<OwnedHandle> {
        self.state().first.take()
    }

    /// One more instance, of a name that has `ours` already.
    fn make(&self, ours: usize, as_ourselves: &AsOurselves) -> io::Result<OwnedHandle> {
        if ours > 0 {
            match self.making.create(as_ourselves, false) {
                Err(error) if os::code(&error) == ERROR_FILE_NOT_FOUND => {}
                made => return made,
            }
        }
        // The name has gone, or may have: another's instances are not joined.
        self.making.create(as_ourselves, true).or_else(|_| {
            aside::settle();
            self.making.create(as_ourselves, true)
        })
    }

    /// Lets an instance wait for a client.
    fn put_up(&self, state: &mut State, handle: OwnedHandle) -> io::Result<()> {
        let key = Key::new();
        self.port.add(&handle, key)?;
        let mut pending = Pending {
            key,
            overlapped: Box::default(),
            handle: None,
        };
        let overlapped = pending.overlapped.get();
        // SAFETY: the OVERLAPPED is new. It stays in its box, which is dropped only when its packet has come, or when
        // the call below says that none will.
        let listening = unsafe { os::listen(&handle, overlapped) }?;
        pending.handle = Some(handle);
        match listening {
            Listening::Pending => state.pending.push(pending),
            Listening::Connected => match self.port.post(key, overlapped) {
                // In its turn, behind those whose packets are there already.
                Ok(()) => state.pending.push(pending),
                // Out of its turn, and not lost.
                Err(_) => state.ready.extend(self.came(pending)),
            },
        }
        Ok(())
    }

    fn came(&self, pending: Pending) -> Option<Came> {
        Some(Came {
            handle: pending.handle?,
            key: Some(pending.key),
            open: Open::new(&self.open),
        })
    }

    /// Puts up as many instances as the backlog asks for and the slots allow: first all are made, then all wait for clients.
    /// Each that begins to wait wakes all clients that found none, so there should be several.
    fn replenish(&self, state: &mut State, slots: &Slots) -> io::Result<()> {
        let most = self.backlog.saturating_mul(AHEAD).min(slots.free());
        let room = most.saturating_sub(state.waiting());
        let wanted = self.backlog.saturating_sub(state.pending.len()).min(room);
        if state.phase != Phase::Open || wanted == 0 {
            state.spent.clear();
            return Ok(());
        }
        let before = state.waiting()
            + state.spent.len()
            + self.open.load(Ordering::SeqCst)
            + usize::from(state.beside);
        let as_ourselves = AsOurselves::begin()?;
        let mut made = Vec::with_capacity(wanted);
        let mut failed = Ok(());
        while failed.is_ok() && made.len() < wanted {
            match self.make(before + made.len(), &as_ourselves) {
                Ok(handle) => made.push(handle),
                Err(error) => failed = Err(error),
            }
        }
        for handle in made {
            let up = self.put_up(state, handle);
            failed = failed.and(up);
        }
        if failed.is_ok() {
            state.spent.clear();
        }
        failed
    }

    /// Puts up what is missing. Whether a client can still come, where that fails.
    pub(super) fn refill(&self, slots: &Slots) -> (io::Result<()>, bool) {
        let mut state = self.state();
        let filled = self.replenish(&mut state, slots);
        (filled, !state.pending.is_empty())
    }

    /// The first client that came, if one did; the next instance is made in its place.
    pub(super) fn next(&self, slots: &Slots) -> Option<Came> {
        let mut state = self.state();
        if state.phase != Phase::Open {
            return None;
        }
        let came = state.ready.pop_front()?;
        slots.take();
        // While clients come faster than they are accepted, several at a time.
        if state.ready.is_empty() || state.pending.len() <= self.backlog / 2 {
            // If it cannot be made now, the next accept will try again.
            let _ = self.replenish(&mut state, slots);
        }
        Some(came)
    }

    /// Takes in a packet that came out of the port. False: it is none of an instance that waits here. (It may be what
    /// somebody did with a handle that was a stream's once.)
    pub(super) fn arrived(
        &self,
        key: Key,
        overlapped: *mut Overlapped,
        listened: io::Result<()>,
    ) -> bool {
        let mut state = self.state();
        let Some(pending) = state.take(key, overlapped) else {
            return false;
        };
        let came = match listened {
            Ok(()) => true,
            // It came and left; what it wrote is there.
            Err(error) if os::is_end(&error) => true,
            // The wait has ended, and clients come all the same, until the instance is closed.
            Err(_) => {
                let local = pending.handle.as_ref().map(os::local);
                local.is_some_and(|local| local.is_ok_and(|local| !local.listening))
            }
        };
        match came {
            true => {
                let came = self.came(pending);
                state.ready.extend(came);
            }
            false => state.spent.extend(pending.handle),
        }
        Self::end(&mut state);
        true
    }

    /// Gives up the name: ends all that waits. It is done once the phase is [`Phase::Closed`], which takes the packets of
    /// what was pending.
    pub(super) fn close(&self) {
        self.close_for(None);
    }

    /// The same, with one that has taken its place already: no client is lost.
    pub(super) fn close_for(&self, heir: Option<Arc<Queue>>) {
        let mut state = self.state();
        if state.phase != Phase::Open {
            return;
        }
        (state.phase, state.heir) = (Phase::Closing, heir);
        state.first = None;
        let keeps = state.heir.is_some();
        for pending in &mut state.pending {
            let handle = pending.cancel();
            // Who has come meanwhile is the heir's.
            if keeps {
                pending.handle = handle;
            }
        }
        Self::end(&mut state);
    }

    /// The same, by another thread: nothing here waits for it.
    #[cfg(feature = "tokio")]
    pub(super) fn close_aside(&self) {
        let mut state = self.state();
        if state.phase != Phase::Open {
            return;
        }
        (state.phase, state.left) = (Phase::Closing, true);
        let mut handles = std::mem::take(&mut state.spent);
        handles.extend(state.first.take());
        handles.extend(state.pending.iter_mut().filter_map(Pending::cancel));
        handles.extend(state.ready.drain(..).map(|came| came.handle));
        Self::end(&mut state);
        drop(state);
        aside::close(handles);
    }

    /// Gives up on packets that do not come: their memory is left to the system, and the name is free all the same.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        for pending in std::mem::take(&mut state.pending) {
            Box::leak(pending.overlapped);
        }
        Self::end(&mut state);
    }

    /// Goes on with closing, if that is what is under way.
    fn end(state: &mut State) {
        if state.phase != Phase::Closing {
            return;
        }
        state.spent.clear();
        match &state.heir {
            Some(heir) => heir.inherit(state.ready.drain(..)),
            None => state.ready.clear(),
        }
        if state.pending.is_empty() {
            (state.phase, state.heir) = (Phase::Closed, None);
        }
    }

    fn inherit(&self, ready: impl Iterator<Item = Came>) {
        let mut state = self.state();
        state
            .ready
            .extend(ready.map(|came| Came { key: None, ..came }));
        drop(state);
        self.port.wake();
    }

    /// Looks at one of the instances, if there is one.
    pub(super) fn look<T>(&self, look: impl FnOnce(&OwnedHandle) -> T) -> Option<T> {
        let state = self.state();
        let waiting = state.pending.iter().filter_map(|it| it.handle.as_ref());
        let waiting = state.first.iter().chain(waiting);
        let mut all = waiting.chain(state.ready.iter().map(|came| &came.handle));
        all.next().map(look)
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.pending.len() + self.ready.len()
    }

    /// Takes back the instance whose packet has come.
    fn take(&mut self, key: Key, overlapped: *mut Overlapped) -> Option<Pending> {
        let at = self.pending.iter().position(|pending| {
            pending.key == key && std::ptr::eq(pending.overlapped.get(), overlapped)
        })?;
        Some(self.pending.swap_remove(at))
    }
}
