//! Where clients come in: a pipe or a TCP port, one client after another.

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use npipe::ListenOptions;

use crate::couple::STACK;
use crate::end::End;
use crate::failure::{self, Failure};
use crate::say;
use crate::signals::Guarded;

#[derive(Debug)]
pub enum Door {
    Pipe(Guarded),
    Tcp(TcpListener),
}

/// A system that has no descriptors left may have some again when a client has gone.
const BREATH: Duration = Duration::from_millis(50);
const MOST_FAILURES: u32 = 100;

impl Door {
    pub fn pipe(name: &str, how: &ListenOptions) -> failure::Result<Door> {
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
        let (listener, address) =
            bound.map_err(|e| Failure::io(format_args!("listen on tcp:{place}"), &e))?;
        say::note(format_args!("listening on tcp:{address}"));
        Ok(Door::Tcp(listener))
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
                let _ = stream.set_nodelay(true);
                Ok(End::Tcp(stream))
            }
        }
    }

    /// Serves each client in a thread of its own, forever: none of them can hold up another.
    pub fn serve(&self, client: impl Fn(End, u64) + Send + Sync + 'static) -> failure::Result {
        let client = Arc::new(client);
        let mut failures = 0;
        let mut number = 0;
        loop {
            let end = match self.accept() {
                Ok(end) => {
                    failures = 0;
                    end
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
            let client = client.clone();
            let spawned = thread::Builder::new()
                .stack_size(STACK)
                .spawn(move || client(end, number));
            if let Err(error) = spawned {
                say::error(format_args!(
                    "client {number} is turned away: start a thread: {error}"
                ));
            }
        }
    }

    pub fn failure(&self, error: &io::Error) -> Failure {
        match self {
            Door::Pipe(_) => Failure::pipe(error),
            Door::Tcp(_) => Failure::io("accept on tcp", error),
        }
    }
}
