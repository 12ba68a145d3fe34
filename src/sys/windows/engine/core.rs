//! The port, the thread that reads it, and the table of who is told.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::super::os::{Key, Overlapped, Packet, Port};

/// How long the thread sleeps where the port fails, which it has no reason to.
const PAUSE: Duration = Duration::from_millis(10);

/// One who has operations on a handle of a key.
pub(super) trait Target: Send + Sync {
    /// A packet of that key has come: whatever it has in the system may be over.
    fn hint(&self);
}

/// One who has handles of keys of its own.
pub(super) trait Arrivals: Send + Sync {
    /// A packet has come. False: it is none of this one's.
    fn arrived(&self, key: Key, overlapped: *mut Overlapped, result: io::Result<()>) -> bool;

    /// Whether nothing of its is in the system any more, and nothing will be.
    fn is_over(&self) -> bool;
}

pub(super) struct Engine {
    port: Arc<Port>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    targets: HashMap<Key, Arc<dyn Target>>,
    /// For packets whose key is no target's.
    arrivals: Vec<Arc<dyn Arrivals>>,
}

/// The process's engine.
pub(super) fn engine() -> io::Result<&'static Engine> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    static START: Mutex<()> = Mutex::new(());
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let _one = START.lock().unwrap_or_else(PoisonError::into_inner);
    if ENGINE.get().is_none() {
        let port = Arc::new(Port::new()?);
        let engine = Engine {
            port,
            table: Mutex::default(),
        };
        let (ready, started) = std::sync::mpsc::channel::<()>();
        thread::Builder::new()
            .name("npipe".to_owned())
            .spawn(move || {
                // Once the engine stands, or never does.
                let _ = started.recv();
                if let Some(engine) = ENGINE.get() {
                    engine.run();
                }
            })?;
        let _ = ENGINE.set(engine);
        drop(ready);
    }
    Ok(ENGINE.get().ok_or(io::ErrorKind::OutOfMemory)?)
}

impl Engine {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn port(&self) -> &Arc<Port> {
        &self.port
    }

    /// From now on `target` gets the packets of `key`, and kept until [`let_go`](Engine::let_go).
    pub(super) fn hold(&self, key: Key, target: Arc<dyn Target>) {
        self.table().targets.insert(key, target);
    }

    /// The system holds nothing of the target any more.
    pub(super) fn let_go(&self, key: Key) {
        let target = self.table().targets.remove(&key);
        // Not under the lock: it may close a handle.
        drop(target);
    }

    /// From now on `arrivals` is asked about packets whose key is no target's, and kept until it is over.
    pub(super) fn hold_arrivals(&self, arrivals: Arc<dyn Arrivals>) {
        self.table().arrivals.push(arrivals);
    }

    /// Has the thread look at what `key` has in the system.
    pub(super) fn post(&self, key: Key) -> io::Result<()> {
        self.port.post(key, std::ptr::null_mut())
    }

    #[cfg(test)]
    pub(super) fn holds(&self, key: Key) -> bool {
        self.table().targets.contains_key(&key)
    }

    fn run(&self) {
        loop {
            match self.port.get(None) {
                // Others' code runs in a waker.
                Ok(Packet::Completion(key, overlapped, result)) => {
                    let told = AssertUnwindSafe(|| self.tell(key, overlapped, result));
                    let _ = catch_unwind(told);
                }
                Ok(Packet::Wake | Packet::Nothing) => {}
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn tell(&self, key: Key, overlapped: *mut Overlapped, result: io::Result<()>) {
        let table = self.table();
        if let Some(target) = table.targets.get(&key).cloned() {
            drop(table);
            return target.hint();
        }
        let arrivals = table.arrivals.clone();
        drop(table);
        let mut result = Some(result);
        for one in arrivals {
            // Errors are not copied; who is not meant does not look at it.
            let told = match result.take() {
                Some(Ok(())) | None => Ok(()),
                Some(Err(error)) => {
                    let copy = io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(0));
                    result = Some(Err(error));
                    Err(copy)
                }
            };
            if one.arrived(key, overlapped, told) {
                if one.is_over() {
                    let rest = |other: &Arc<dyn Arrivals>| !Arc::ptr_eq(other, &one);
                    self.table().arrivals.retain(rest);
                }
                return;
            }
        }
    }
}
