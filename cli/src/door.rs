//! Where clients come in: a pipe or a TCP port, one client after another.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use npipe::{ListenOptions, PipeListener};

use crate::end::End;
use crate::failure::{self, Failure};
use crate::mux::keeper::Keeper;
use crate::options::Patience;
use crate::room::{self, Room, Seat};
use crate::say;
use crate::signals::Guarded;
use crate::tcp;
use crate::threads::STACK;

#[derive(Debug)]
pub enum Door {
    Pipe(Guarded),
    Tcp(TcpListener),
    /// The clients of the other end of a program.
    Mux(Keeper),
}

/// A system that has no descriptors left may have some again when a client has gone.
const BREATH: Duration = Duration::from_millis(50);
const LONGEST_BREATH: Duration = Duration::from_millis(500);
const MOST_FAILURES: u32 = 100;

impl Door {
    pub fn pipe(name: &OsStr, how: &ListenOptions) -> failure::Result<Door> {
        let listener = Guarded::bind(|| how.bind(name)).map_err(|e| Failure::pipe(&e))?;
        say::note(format_args!("listening on {}", listener.local_addr()));
        Ok(Door::Pipe(listener))
    }

    pub fn tcp(place: &str) -> failure::Result<Door> {
        let bound = TcpListener::bind(place).and_then(|listener| {
            // The port may have been chosen by the system.
            let address = listener.local_addr()?;
            Ok((listener, address))
        });
        let (listener, address) = bound.map_err(|e| {
            let failure = Failure::io(format_args!("listen on tcp:{place}"), &e);
            match e.kind() {
                ErrorKind::AddrInUse => failure.advise("give another port, or end that server"),
                ErrorKind::PermissionDenied => failure.advise("give a port above 1023"),
                _ => failure.advise("give an address of this machine, and a port that is free"),
            }
        })?;
        say::note(format_args!("listening on tcp:{address}"));
        Ok(Door::Tcp(listener))
    }

    pub fn mux(keeper: Keeper) -> failure::Result<Door> {
        keeper.listen()?;
        Ok(Door::Mux(keeper))
    }

    /// Waits for the next client.
    pub fn accept(&self) -> io::Result<End> {
        match self {
            Door::Pipe(listener) => {
                let accepted = listener.accept();
                if accepted
                    .as_ref()
                    .is_err_and(|e| e.kind() == ErrorKind::ConnectionAborted)
                {
                    // A signal has closed it, and ends the process as soon as the name is given back: not before.
                    loop {
                        thread::park();
                    }
                }
                accepted.map(End::Pipe)
            }
            Door::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                tcp::prepare(&stream);
                Ok(End::Tcp(stream))
            }
            Door::Mux(keeper) => Ok(End::Mux(Box::new(keeper.accept()))),
        }
    }

    /// Waits for the next client for so long.
    pub fn accept_within(&self, time: Patience) -> failure::Result<End> {
        if let Door::Pipe(listener) = self {
            let until = time.0.and_then(|time| Instant::now().checked_add(time));
            listener
                .set_deadline(until)
                .map_err(|e| Failure::pipe(&e))?;
        }
        self.accept().map_err(|e| match e.kind() {
            ErrorKind::TimedOut => self.nobody_came(time),
            _ => self.failure(&e),
        })
    }

    fn nobody_came(&self, time: Patience) -> Failure {
        let line = format!("listen on {}: no client came within {time}", self.place());
        Failure::new(failure::TIMED_OUT, line).advise("give it longer with --timeout")
    }

    pub fn place(&self) -> String {
        match self {
            Door::Pipe(listener) => listener.local_addr().to_string(),
            Door::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("tcp:{address}"),
                Err(_) => "tcp".into(),
            },
            Door::Mux(_) => "mux".into(),
        }
    }

    /// Serves each client in a thread of its own: none of them can hold up another. It ends when nobody has been there
    /// for so long as `patience` says.
    pub fn serve(
        &self,
        patience: Patience,
        descriptors: usize,
        client: impl Fn(End, u64) + Send + Sync + 'static,
    ) -> failure::Result {
        let room = Room::of(descriptors);
        let idle = match (self, patience.0) {
            (Door::Pipe(listener), Some(time)) => Some(Idle::begin(listener.share(), time)?),
            _ => None,
        };
        let client = Arc::new(client);
        let mut failures = 0;
        let mut number = 0;
        let mut shortage = BREATH;
        loop {
            room.wait();
            let end = match self.accept() {
                Ok(end) => {
                    failures = 0;
                    shortage = BREATH;
                    end
                }
                Err(e) if room::is_shortage(&e) => {
                    // Once: it may last for hours.
                    if shortage == BREATH {
                        say::error(format_args!(
                            "{e}; those who are here stay, the others wait"
                        ));
                    }
                    thread::sleep(shortage);
                    shortage = (shortage * 2).min(LONGEST_BREATH);
                    continue;
                }
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    return Err(self.nobody_came(patience));
                }
                Err(e) if failures < MOST_FAILURES => {
                    failures += 1;
                    say::error(format_args!("{e}; trying again"));
                    thread::sleep(BREATH);
                    continue;
                }
                Err(e) => return Err(self.failure(&e)),
            };
            number += 1;
            let guest = idle.as_ref().map(Idle::enter).transpose()?;
            let visit = Arc::new(Mutex::new(Some((end, guest, room.enter()))));
            while let Err(error) = spawn(&client, &visit, number) {
                // Threads become available again as descriptors do.
                if shortage == BREATH {
                    say::error(format_args!(
                        "start a thread: {error}; those who are here stay, the others wait"
                    ));
                }
                thread::sleep(shortage);
                shortage = (shortage * 2).min(LONGEST_BREATH);
            }
        }
    }

    pub fn failure(&self, error: &io::Error) -> Failure {
        match self {
            Door::Pipe(_) => Failure::pipe(error),
            Door::Tcp(_) | Door::Mux(_) => {
                Failure::io(format_args!("accept on {}", self.place()), error)
            }
        }
    }
}

/// A client, and what counts it. A thread that cannot be started gives it back.
type Visit = (End, Option<Guest>, Seat);

fn spawn(
    client: &Arc<impl Fn(End, u64) + Send + Sync + 'static>,
    visit: &Arc<Mutex<Option<Visit>>>,
    number: u64,
) -> io::Result<()> {
    let (client, visit) = (client.clone(), visit.clone());
    let serve = move || {
        let visit = visit.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((end, guest, seat)) = visit {
            client(end, number);
            drop((guest, seat));
        }
    };
    thread::Builder::new()
        .stack_size(STACK)
        .spawn(serve)
        .map(drop)
}

/// A client, and its server, which `dial` goes to. One that comes through a program is told what that comes to.
pub fn meet(
    mut near: End,
    dial: impl FnOnce(&End) -> failure::Result<End>,
) -> failure::Result<(End, End)> {
    let told = |e: io::Error| Failure::io("mux", &e);
    if let End::Mux(channel) = &mut near {
        channel.greet().map_err(told)?;
    }
    let dialled = dial(&near);
    if let End::Mux(channel) = &near {
        match &dialled {
            Ok(far) => channel.opened(far.has_messages()).map_err(told)?,
            // Where it has gone already there is nobody to tell.
            Err(failure) => drop(channel.failed(failure.code, failure.line())),
        }
    }
    dialled.map(|far| (near, far))
}

/// Lets the listener wait for so long from the moment at which the last client has left, and without an end while
/// one is there.
#[derive(Debug)]
struct Idle {
    listener: Arc<PipeListener>,
    time: Duration,
    guests: Mutex<usize>,
}

/// A client that is there. Dropped, it has left.
#[derive(Debug)]
struct Guest(Arc<Idle>);

impl Idle {
    fn begin(listener: Arc<PipeListener>, time: Duration) -> failure::Result<Arc<Idle>> {
        let idle = Idle {
            listener,
            time,
            guests: Mutex::new(0),
        };
        idle.wait().map_err(|e| Failure::pipe(&e))?;
        Ok(Arc::new(idle))
    }

    fn wait(&self) -> io::Result<()> {
        self.listener
            .set_deadline(Instant::now().checked_add(self.time))
    }

    fn enter(self: &Arc<Idle>) -> failure::Result<Guest> {
        // Held while the deadline moves, so that it is always that of the count.
        let mut guests = self.guests();
        *guests += 1;
        self.listener
            .set_deadline(None)
            .map_err(|e| Failure::pipe(&e))?;
        Ok(Guest(self.clone()))
    }

    fn guests(&self) -> MutexGuard<'_, usize> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.0.guests();
        *guests -= 1;
        if *guests == 0 {
            // A listener that has been closed since waits for nobody.
            let _ = self.0.wait();
        }
    }
}
