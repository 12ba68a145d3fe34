//! A name that is held: the queue of its instances, and the port that tells who came, in order.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_PIPE_BUSY};

use super::aside;
use super::os::{self, AsOurselves, Instance, Packet, Port};
use super::queue::{Phase, Queue};
use super::security;
use super::stream::Stream;
use crate::error::{self, Fault, Reason};
use crate::info::PipeInfo;
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

/// The queue that a listener has at the moment. It has another port while tasks accept.
struct Current(RwLock<Arc<Queue>>);

impl Current {
    fn get(&self) -> Arc<Queue> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    fn set(&self, queue: Arc<Queue>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = queue;
    }
}

/// What moves a call that waits in `accept`: the port itself.
pub(crate) struct ListenWaiter(Arc<Current>);

impl Waker for ListenWaiter {
    fn wake(&self) {
        self.0.get().port().wake();
    }
}

pub(crate) struct Listener {
    current: Arc<Current>,
    /// As the system has it; where it does not tell, its error.
    security: Result<String, u32>,
    slots: Slots,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

/// How the instances of `name` are made.
pub(super) fn instance(name: &PipeName, options: &ListenOptions) -> io::Result<Instance> {
    let size = |asked: Option<u32>| asked.unwrap_or(BUFFER_SIZE);
    Ok(Instance {
        path: os::nt_path(name.os_path()),
        mode: options.mode(),
        directions: options.direction.of_server(),
        accept_remote: options.accept_remote_clients,
        input_buffer_size: size(options.input_buffer_size),
        output_buffer_size: size(options.output_buffer_size),
        security: security::descriptor(options, name)?,
    })
}

impl Listener {
    pub(crate) fn bind(
        name: &PipeName,
        options: &ListenOptions,
    ) -> io::Result<(Listener, Lane<ListenWaiter>)> {
        if name.is_remote() {
            let why = r"this is another machine's pipe: a server listens on its own machine, at \\.\pipe\NAME";
            return Err(Fault::new(Reason::WrongName, why).of(OPERATION, name));
        }
        let fail = |e| error::named(OPERATION, name, e);
        let instance = instance(name, options)?;
        let as_ourselves = AsOurselves::begin().map_err(fail)?;
        let first = instance.create(&as_ourselves, true).or_else(|error| {
            if !is_taken(&error) {
                return Err(error);
            }
            // A stream of this process's may have gone this moment, and its half close not quite; or a listener, whose
            // instances another thread closes.
            aside::settle();
            instance.create(&as_ourselves, true)
        });
        let first = first.map_err(|source| {
            // ACCESS_DENIED is both "it is there" and "you may not".
            let taken = match os::code(&source) {
                ERROR_ACCESS_DENIED => os::exists(name.os_path()),
                _ if is_taken(&source) => true,
                _ => return fail(source),
            };
            let fault = if taken {
                Fault::new(Reason::NameTaken, "another server has this name")
            } else {
                let why = "this user may not make a pipe of this name";
                Fault::new(Reason::NotAllowed, why)
            };
            fault.source(source).of(OPERATION, name)
        })?;
        drop(as_ourselves);
        // For whoever asks: one that its own security does not let read it is a pipe all the same.
        let security = os::security(&first).map_err(|error| os::code(&error));
        let port = Arc::new(Port::new().map_err(fail)?);
        let backlog = options.backlog.unwrap_or(BACKLOG).min(LONGEST_BACKLOG) as usize;
        let queue = Arc::new(Queue::new(port, instance, backlog));
        let listener = Listener {
            current: Arc::new(Current(RwLock::new(queue.clone()))),
            security,
            slots: Slots::new(options.max_instances),
        };
        if options.for_tasks {
            queue.keep_first(first);
        } else {
            let begun = queue.begin(first);
            begun
                .and_then(|()| queue.refill(&listener.slots).0)
                .map_err(|error| fail(begin_error(error)))?;
        }
        let waiter = ListenWaiter(listener.current.clone());
        Ok((listener, Lane::new(waiter)))
    }

    pub(super) fn queue(&self) -> Arc<Queue> {
        self.current.get()
    }

    pub(crate) fn security(&self) -> io::Result<String> {
        self.security
            .clone()
            .map_err(|code| io::Error::from_raw_os_error(code as i32))
    }

    pub(crate) fn info(&self) -> io::Result<PipeInfo> {
        let queue = self.queue();
        match queue.look(os::local) {
            Some(local) => Ok(PipeInfo {
                max_instances: self.slots.most(),
                ..local?.info()
            }),
            // All are streams, or it is closed: what was asked for is still known.
            None => Ok(PipeInfo {
                mode: queue.making().mode,
                instances: None,
                max_instances: self.slots.most(),
                input_buffer_size: Some(queue.making().input_buffer_size),
                output_buffer_size: Some(queue.making().output_buffer_size),
            }),
        }
    }

    pub(crate) fn accept(&self) -> Accept<'_> {
        Accept { listener: self }
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// A slot has come free, whose stream is about to close its instance: the next one is made first.
    pub(crate) fn released(&self) {
        let queue = self.queue();
        if queue.refill(&self.slots).0.is_err() {
            // `accept` will try again, and tell.
            queue.port().wake();
        }
    }

    /// Gives up the name: it is free when this returns, but for the instances of streams. Called by the one who holds the lane,
    /// once it is closed.
    pub(crate) fn close(&self) {
        let queue = self.queue();
        queue.close();
        Self::settle(&queue);
    }

    /// From now on clients come to `queue`, whose instances are made before; those that have come already are delivered first.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(super) fn go_on_with(&self, queue: Arc<Queue>) -> io::Result<()> {
        let old = self.queue();
        let first = old.take_first();
        let is_bind = first.is_some();
        let begun = first.map_or(Ok(()), |first| queue.begin(first));
        let (filled, clients_can_come) = queue.refill(&self.slots);
        if let Err(error) = begun.and(filled) {
            if is_bind || !clients_can_come {
                queue.close();
                return Err(begin_error(error));
            }
        }
        self.current.set(queue.clone());
        old.close_for(Some(queue));
        Self::settle(&old);
        Ok(())
    }

    /// From now on whoever waits for clients reads a port of the listener's own.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(super) fn go_on_alone(&self) -> io::Result<()> {
        let port = Arc::new(Port::new()?);
        let queue = Arc::new(self.queue().successor(port, true));
        self.go_on_with(queue)
    }

    /// Takes out the packets of a queue that closes, or waits until somebody else has.
    fn settle(queue: &Queue) {
        if queue.is_left() {
            return;
        }
        let until = Instant::now().checked_add(LAST_PACKET);
        while !queue.reads_port() && queue.phase() == Phase::Closing {
            if until.is_some_and(|until| Instant::now() >= until) {
                // The one who reads the port keeps the queue until it is closed.
                return;
            }
            thread::yield_now();
        }
        while queue.phase() == Phase::Closing {
            match queue.port().get(until) {
                Ok(Packet::Completion(key, overlapped, result)) => {
                    queue.arrived(key, overlapped, result);
                }
                Ok(Packet::Wake) => {}
                Ok(Packet::Nothing) | Err(_) => queue.leave(),
            }
        }
    }
}

/// What it means that the first instance of a name could be made, and further ones cannot.
fn begin_error(source: io::Error) -> io::Error {
    if os::code(&source) != ERROR_ACCESS_DENIED {
        return source;
    }
    let why = "its security does not let this user add instances to the pipe, which its server must: \
               grant the server's own account FILE_CREATE_PIPE_INSTANCE (0x4; GA or FA contain it)";
    Fault::new(Reason::NotAllowed, why).source(source).into()
}

/// The errors of a name that somebody has. (ACCESS_DENIED may mean more than that.)
fn is_taken(error: &io::Error) -> bool {
    matches!(
        os::code(error),
        ERROR_ACCESS_DENIED | ERROR_ALREADY_EXISTS | ERROR_PIPE_BUSY
    )
}

/// A bind that fails half way has instances that wait already: their memory is the system's too.
impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits for a client.
pub(crate) struct Accept<'a> {
    listener: &'a Listener,
}

impl Operation for Accept<'_> {
    type Output = Stream;

    fn poll(&mut self) -> Poll<io::Result<Stream>> {
        let queue = self.listener.queue();
        let slots = &self.listener.slots;
        loop {
            if let Some(came) = queue.next(slots) {
                return Poll::Ready(Ok(Stream::accepted(came, queue.making())));
            }
            if queue.phase() != Phase::Open {
                return Poll::Pending; // the lane will say so
            }
            // All that have come, so that as many others are made at once.
            let mut came = false;
            loop {
                match queue.port().get(Some(Instant::now()))? {
                    Packet::Completion(key, overlapped, listened) => {
                        came |= queue.arrived(key, overlapped, listened);
                    }
                    Packet::Wake => {}
                    Packet::Nothing => break,
                }
            }
            if came {
                continue;
            }
            return match queue.refill(slots) {
                (Err(error), false) => Poll::Ready(Err(error)),
                _ => Poll::Pending,
            };
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> io::Result<Waited> {
        let queue = self.listener.queue();
        Ok(match queue.port().get(until)? {
            Packet::Completion(key, overlapped, listened) => {
                queue.arrived(key, overlapped, listened);
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

#[cfg(test)]
mod tests {
    //! What becomes of a name while the system has no instances to give, or does not tell.

    use std::io::ErrorKind;
    use std::time::{Duration, Instant};

    use super::os::faults::{HIDDEN, NEXT};
    use crate::options::{ConnectOptions, ListenOptions};
    use crate::{PipeListener, PipeStream};

    /// A listener whose only stream has gone while the next instance could not be made.
    fn without_a_name(what: &str) -> (String, PipeListener) {
        let name = format!("npipe-lost-{what}-{}", std::process::id());
        let listener = ListenOptions::new().max_instances(1).bind(&name).unwrap();
        let client = PipeStream::connect(&name).unwrap();
        let server = listener.accept().unwrap();
        NEXT.set(usize::MAX);
        drop((client, server));
        let gone = PipeStream::connect(&name).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{gone}");
        let within = Some(Instant::now() + Duration::from_secs(20));
        listener.set_deadline(within).unwrap();
        let error = listener.accept().unwrap_err();
        assert_ne!(error.kind(), ErrorKind::TimedOut, "{error}");
        NEXT.set(0);
        (name, listener)
    }

    #[test]
    fn a_security_that_cannot_be_read_is_no_reason_not_to_bind() {
        let name = format!("npipe-hidden-{}", std::process::id());
        HIDDEN.set(true);
        let listener = PipeListener::bind(&name);
        HIDDEN.set(false);
        let listener = listener.unwrap();
        let _client = PipeStream::connect(&name).unwrap();
        listener.accept().unwrap();
        // It is told to whoever asks.
        let error = listener.security_descriptor().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }

    #[test]
    fn a_name_that_was_lost_is_taken_anew() {
        let (name, listener) = without_a_name("anew");
        std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                ConnectOptions::new()
                    .wait_for_server(true)
                    .timeout(Duration::from_secs(20))
                    .connect(&name)
                    .unwrap()
            });
            listener.accept().unwrap();
            client.join().unwrap();
        });
    }

    #[test]
    fn a_name_that_another_has_taken_is_not_joined() {
        let (name, listener) = without_a_name("joined");
        let other = PipeListener::bind(&name).unwrap();
        let error = listener.accept().unwrap_err();
        assert_ne!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert_eq!(other.info().unwrap().instances(), Some(32));
        drop(other);
        let client = std::thread::spawn(move || {
            let all = ConnectOptions::new().wait_for_server(true);
            all.timeout(Duration::from_secs(20)).connect(&name).unwrap()
        });
        listener.accept().unwrap();
        client.join().unwrap();
    }
}
