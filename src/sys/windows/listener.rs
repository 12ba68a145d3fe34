//! A name that is held: instances of the pipe kept ready ahead of `accept`, and the port that tells who came, in order.
//!
//! An instance's life: made and bound to the port; *pending* while it waits for a client, its `OVERLAPPED` the system's;
//! *ready* once a packet has told that a client came; then a stream's. Pending, ready and streams together are never
//! more than `max_instances`, and there is always at least one of them, so that the name is never anybody else's: before a
//! stream closes its instance, the next one is made. (For that moment there is one more for each such stream, so that the
//! system is told of no limit.)

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_PIPE_BUSY};

use super::os::{self, Instance, Listening, Overlapped, Packet, Port};
use super::security;
use super::stream::Stream;
use crate::error::{self, Fault, Reason};
use crate::info::PipeInfo;
use crate::kinds::PipeMode;
use crate::lane::{Cancelled, Lane, Operation, Waited, Waker};
use crate::name::PipeName;
use crate::options::ListenOptions;
use crate::slots::Slots;

const OPERATION: &str = "bind";

const BACKLOG: u32 = 32;

/// An instance is memory of the system's, and takes time to make and to close.
const LONGEST_BACKLOG: u32 = 1024;

/// 64 KiB: enough that a write need not wait for its reader.
const BUFFER_SIZE: u32 = 65536;

/// How long a closing listener waits for an instance that it has cancelled. The system answers at once; if it ever did
/// not, the memory that it may still write to is left to it.
const LAST_PACKET: Duration = Duration::from_secs(5);

/// What moves a call that waits in `accept`: the port itself.
pub(crate) struct ListenWaiter(Arc<Port>);

impl Waker for ListenWaiter {
    fn wake(&self) {
        self.0.wake();
    }
}

pub(crate) struct Listener {
    port: Arc<Port>,
    instance: Instance,
    /// As the system has it.
    security: String,
    max_instances: Option<u32>,
    backlog: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pending: Vec<Pending>,
    ready: VecDeque<OwnedHandle>,
    /// To which nobody came and nobody will: closed once there are others in their place.
    spent: Vec<OwnedHandle>,
    closed: bool,
}

/// An instance that waits for its client. The system holds the `OVERLAPPED` until its packet has come.
struct Pending {
    overlapped: Box<UnsafeCell<Overlapped>>,
    handle: OwnedHandle,
}

// SAFETY: the OVERLAPPED has no tie to a thread. It is the system's until its packet has come, and after that it is read by
// the one thread that has taken this out of the state under the listener's lock.
unsafe impl Send for Pending {}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl Listener {
    pub(crate) fn bind(
        name: &PipeName,
        options: &ListenOptions,
        slots: &Slots,
    ) -> io::Result<(Listener, Lane<ListenWaiter>)> {
        if name.is_remote() {
            let why = r"this is another machine's pipe: a server listens on its own machine, at \\.\pipe\NAME";
            return Err(Fault::new(Reason::WrongName, why).of(OPERATION, name));
        }
        let fail = |e| error::named(OPERATION, name, e);
        let size = |asked: Option<u32>| asked.unwrap_or(BUFFER_SIZE);
        let instance = Instance {
            path: os::nt_path(name.os_path()),
            mode: options.mode(),
            directions: options.direction.of_server(),
            accept_remote: options.accept_remote_clients,
            input_buffer_size: size(options.input_buffer_size),
            output_buffer_size: size(options.output_buffer_size),
            security: security::descriptor(options, name)?,
        };
        let first = instance.create(true).map_err(|source| {
            // ACCESS_DENIED is both "it is there" and "you may not".
            let taken = match os::code(&source) {
                ERROR_ACCESS_DENIED => os::exists(&os::wide(name.os_path())),
                ERROR_ALREADY_EXISTS | ERROR_PIPE_BUSY => true,
                _ => return fail(source),
            };
            let fault = if taken {
                Fault::new(Reason::NameTaken, "another server has this name")
            } else {
                Fault::new(
                    Reason::NotAllowed,
                    "this user may not make a pipe of this name",
                )
            };
            fault.source(source).of(OPERATION, name)
        })?;
        let security = os::security(&first).map_err(fail)?;
        let port = Arc::new(Port::new().map_err(fail)?);
        let listener = Listener {
            port: port.clone(),
            instance,
            security,
            max_instances: options.max_instances,
            backlog: options.backlog.unwrap_or(BACKLOG).min(LONGEST_BACKLOG) as usize,
            state: Mutex::default(),
        };
        {
            let mut state = listener.state();
            listener
                .put_up(&mut state, Some(first))
                .and_then(|()| listener.replenish(&mut state, slots))
                .map_err(|source| {
                    if os::code(&source) == ERROR_ACCESS_DENIED {
                        let why = "its security does not let this user add instances to the pipe, which its server must: \
                                   grant the server's own account FILE_CREATE_PIPE_INSTANCE (0x4; GA or FA contain it)";
                        return Fault::new(Reason::NotAllowed, why)
                            .source(source)
                            .of(OPERATION, name);
                    }
                    fail(source)
                })?;
        }
        Ok((listener, Lane::new(ListenWaiter(port))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way, so a poisoned lock guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(&self, handle: OwnedHandle) -> Stream {
        let unbuffered = self.instance.input_buffer_size == 0;
        Stream::new(handle, self.instance.mode, unbuffered)
    }

    /// Makes one more instance, or takes the one that is given, and lets it wait for a client.
    fn put_up(&self, state: &mut State, given: Option<OwnedHandle>) -> io::Result<()> {
        let handle = match given {
            Some(handle) => handle,
            None => self.instance.create(false)?,
        };
        self.port.add(&handle)?;
        let pending = Pending {
            overlapped: Box::default(),
            handle,
        };
        let overlapped = pending.overlapped.get();
        // SAFETY: the OVERLAPPED is new. It stays in its box, which is dropped only when its packet has come, or when
        // the call below says that none will.
        match unsafe { os::listen(&pending.handle, overlapped) }? {
            Listening::Pending => state.pending.push(pending),
            Listening::Connected => match self.port.post(overlapped) {
                // In its turn, behind those whose packets are there already.
                Ok(()) => state.pending.push(pending),
                // Out of its turn, and not lost.
                Err(_) => state.ready.push_back(pending.handle),
            },
        }
        Ok(())
    }

    /// Puts up as many instances as the backlog asks for and the slots allow.
    fn replenish(&self, state: &mut State, slots: &Slots) -> io::Result<()> {
        loop {
            let waiting = state.pending.len() + state.ready.len();
            if waiting >= self.backlog.min(slots.free()) {
                state.spent.clear();
                return Ok(());
            }
            self.put_up(state, None)?;
        }
    }

    pub(crate) fn security(&self) -> io::Result<String> {
        Ok(self.security.clone())
    }

    pub(crate) fn info(&self, mode: PipeMode) -> io::Result<PipeInfo> {
        let state = self.state();
        let waiting = state.pending.iter().map(|pending| &pending.handle);
        match waiting.chain(&state.ready).next() {
            Some(handle) => Ok(PipeInfo {
                max_instances: self.max_instances,
                ..os::local(handle)?.info()
            }),
            // All are streams, or it is closed: what was asked for is still known.
            None => Ok(PipeInfo {
                mode,
                instances: None,
                max_instances: self.max_instances,
                input_buffer_size: Some(self.instance.input_buffer_size),
                output_buffer_size: Some(self.instance.output_buffer_size),
            }),
        }
    }

    pub(crate) fn accept<'a>(&'a self, _waiter: &'a ListenWaiter, slots: &'a Slots) -> Accept<'a> {
        Accept {
            listener: self,
            slots,
        }
    }

    /// A stream of this listener is about to close its instance: the next one is put up first.
    pub(crate) fn released(&self, waiter: &ListenWaiter, slots: &Slots) {
        let mut state = self.state();
        if !state.closed && self.replenish(&mut state, slots).is_err() {
            // `accept` will try again, and tell.
            waiter.wake();
        }
    }

    /// Gives up the name. Called by the one who holds the lane, once it is closed.
    pub(crate) fn close(&self, _waiter: &ListenWaiter) {
        self.give_up();
    }

    /// Ends all that waits, and takes its memory back from the system.
    fn give_up(&self) {
        let mut state = self.state();
        state.closed = true;
        state.ready.clear();
        state.spent.clear();
        for pending in &state.pending {
            // SAFETY: it was started, and its packet has not been taken out yet.
            unsafe { os::cancel(&pending.handle, pending.overlapped.get()) };
        }
        let until = Instant::now().checked_add(LAST_PACKET);
        while !state.pending.is_empty() {
            match self.port.get(until) {
                Ok(Packet::Completion(overlapped, _)) => drop(state.take(overlapped)),
                Ok(Packet::Wake) => {}
                Ok(Packet::Nothing) | Err(_) => {
                    for pending in std::mem::take(&mut state.pending) {
                        Box::leak(pending.overlapped);
                    }
                }
            }
        }
    }

    /// Takes in what came out of the port.
    fn arrived(&self, overlapped: *mut Overlapped, listened: io::Result<()>) {
        let mut state = self.state();
        let Some(pending) = state.take(overlapped) else {
            return;
        };
        let came = match listened {
            Ok(()) => true,
            // It came and left; what it wrote is there.
            Err(error) => os::is_end(&error),
        };
        if came {
            state.ready.push_back(pending.handle);
        } else {
            state.spent.push(pending.handle);
        }
    }
}

/// A bind that fails half way has instances that wait already: their memory is the system's too.
impl Drop for Listener {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl State {
    /// Takes back the instance whose packet has come.
    fn take(&mut self, overlapped: *mut Overlapped) -> Option<Pending> {
        let at = self
            .pending
            .iter()
            .position(|pending| std::ptr::eq(pending.overlapped.get(), overlapped))?;
        Some(self.pending.swap_remove(at))
    }
}

/// Waits for a client.
pub(crate) struct Accept<'a> {
    listener: &'a Listener,
    slots: &'a Slots,
}

impl Operation for Accept<'_> {
    type Output = Stream;

    fn poll(&mut self) -> Poll<io::Result<Stream>> {
        let listener = self.listener;
        loop {
            let mut state = listener.state();
            if state.closed {
                return Poll::Pending; // the lane says so
            }
            if let Some(handle) = state.ready.pop_front() {
                self.slots.take();
                // If it cannot be made now, the next accept will try again.
                let _ = listener.replenish(&mut state, self.slots);
                return Poll::Ready(Ok(listener.stream(handle)));
            }
            let replenished = listener.replenish(&mut state, self.slots);
            let helpless = state.pending.is_empty();
            drop(state);
            match listener.port.get(Some(Instant::now())) {
                Ok(Packet::Completion(overlapped, listened)) => {
                    listener.arrived(overlapped, listened);
                }
                Ok(Packet::Wake) => {}
                Ok(Packet::Nothing) => {
                    return match replenished {
                        // With others up, clients can still come.
                        Err(error) if helpless => Poll::Ready(Err(error)),
                        _ => Poll::Pending,
                    };
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        Ok(match self.listener.port.get(until)? {
            Packet::Completion(overlapped, listened) => {
                self.listener.arrived(overlapped, listened);
                Waited::Ready
            }
            Packet::Wake => Waited::Woken,
            Packet::Nothing => Waited::Expired,
        })
    }

    fn cancel(&mut self) -> Cancelled<Stream> {
        // Who comes now is there for the next accept.
        Cancelled::Nothing
    }
}
