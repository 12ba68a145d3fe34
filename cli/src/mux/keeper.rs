//! Keeps one program for all clients, and starts it again when it has died.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::frame::Role;
use super::session::Session;
use crate::end::End;
use crate::failure::{self, Failure};
use crate::program::Program;
use crate::say;

/// One that died sooner is left until a client wants it: else it could be started for ever.
const LIVED: Duration = Duration::from_secs(1);

/// How long the program may go on once the relay has no more use for it.
const GRACE: Option<Duration> = Some(Duration::from_secs(5));

/// Where clients come from there, a program that dies is started again after so long, and longer each time.
const BREATH: Duration = Duration::from_millis(250);
const LONGEST_BREATH: Duration = Duration::from_secs(30);

/// Its clones share the program.
#[derive(Clone)]
pub struct Keeper(Arc<Kept>);

struct Kept {
    program: Program,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    /// When the last start failed, and what was said.
    failed: Option<(Instant, u8, String)>,
}

impl Keeper {
    pub fn new(program: Program) -> Keeper {
        Keeper(Arc::new(Kept {
            program,
            state: Mutex::default(),
        }))
    }

    /// Starts the program before the first client comes, on a thread of its own: whatever that costs, no client pays.
    pub fn prepare(&self) {
        let kept = self.0.clone();
        let start = move || {
            if let Err(failure) = kept.session() {
                say::error(failure.line());
            }
        };
        // If no thread can be started, the first client starts it.
        let _ = thread::Builder::new().spawn(start);
    }

    /// Has the other end dial, for as long as the client has not left.
    pub fn dial(&self, messages: bool, has_left: impl Fn() -> bool) -> failure::Result<Channel> {
        let session = self.0.session()?;
        match session.open(messages, &has_left) {
            // It has died meanwhile, and this client is the next one.
            Err(_) if !session.is_open() => self.0.session()?.open(messages, has_left),
            opened => opened,
        }
    }

    /// Starts the program, whose other end has clients. One that cannot be started now is a mistake, and no accident.
    pub fn listen(&self) -> failure::Result {
        let session = self.0.start(Role::Dials)?;
        self.0.state().session = Some(session);
        Ok(())
    }

    /// The next client that the other end has.
    pub fn accept(&self) -> Channel {
        let mut breath = BREATH;
        loop {
            let session = self.0.state().session.clone();
            if let Some(channel) = session.as_ref().and_then(|session| session.accept()) {
                return channel;
            }
            if session.is_some() {
                say::error("mux: the program has ended; it is started again");
            }
            drop(session);
            thread::sleep(breath);
            breath = (breath * 2).min(LONGEST_BREATH);
            let started = self.0.start(Role::Dials);
            self.0.state().session = match started {
                Ok(session) => Some(session),
                Err(failure) => {
                    say::error(failure.line());
                    None
                }
            };
        }
    }
}

impl Kept {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The program that there is, or one that is started now. Whoever comes meanwhile waits, and fares alike.
    fn session(self: &Arc<Kept>) -> failure::Result<Arc<Session>> {
        let came = Instant::now();
        let mut state = self.state();
        if let Some(session) = state.session.as_ref().filter(|session| session.is_open()) {
            return Ok(session.clone());
        }
        if let Some((_, code, line)) = state.failed.as_ref().filter(|(when, ..)| *when > came) {
            return Err(Failure::new(*code, line.clone()));
        }
        match self.start(Role::Listens) {
            Ok(session) => {
                state.session = Some(session.clone());
                state.failed = None;
                drop(state);
                self.watch(session.clone());
                Ok(session)
            }
            Err(failure) => {
                state.session = None;
                state.failed = Some((Instant::now(), failure.code, failure.line().to_owned()));
                Err(failure)
            }
        }
    }

    fn start(&self, role: Role) -> failure::Result<Arc<Session>> {
        let running = self.program.start(&[], GRACE)?;
        say::detail(format_args!("mux: process {} is started", running.id()));
        Session::start(End::Program(running), role).map(Arc::new)
    }

    /// Says when it dies, and starts it again.
    fn watch(self: &Arc<Kept>, session: Arc<Session>) {
        let kept = Arc::downgrade(self);
        let began = Instant::now();
        let watch = move || {
            session.wait_end();
            drop(session);
            let Some(kept) = kept.upgrade() else {
                return;
            };
            if began.elapsed() < LIVED {
                say::error("mux: the program has ended; the next client starts it again");
                return;
            }
            say::error("mux: the program has ended; it is started again");
            if let Err(failure) = kept.session() {
                say::error(failure.line());
            }
        };
        // If no thread can be started, the next client starts it.
        let _ = thread::Builder::new().spawn(watch);
    }
}

impl PartialEq for Keeper {
    fn eq(&self, other: &Keeper) -> bool {
        self.0.program == other.0.program
    }
}

impl Eq for Keeper {}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keeper").field(&self.0.program).finish()
    }
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.program.fmt(f)
    }
}
