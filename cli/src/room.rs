//! How many clients there are descriptors for: those who are served keep theirs, and the others wait where the system
//! keeps them, rather than that they are taken in and cut off.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::say;

/// What accepting, dialling and starting a program take for a moment.
#[cfg(unix)]
const SPARE: usize = 10;

#[derive(Debug)]
pub struct Room {
    /// None: the system has no such limit, or does not tell.
    most: Option<usize>,
    inside: Mutex<usize>,
    change: Condvar,
}

/// A client that is inside. Dropped, it has left.
#[derive(Debug)]
pub struct Seat(Arc<Room>);

impl Room {
    /// For clients of whom each takes so many descriptors.
    pub fn of(each: usize) -> Arc<Room> {
        Arc::new(Room {
            most: descriptors_left().map(|left| (left / each).max(1)),
            inside: Mutex::new(0),
            change: Condvar::new(),
        })
    }

    fn inside(&self) -> MutexGuard<'_, usize> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for one more, and says so if that is not now.
    pub fn wait(&self) {
        let Some(most) = self.most else {
            return;
        };
        let mut inside = self.inside();
        if *inside >= most {
            say::error(format_args!(
                "{most} clients are here, as many as this process has descriptors for: others wait; raise the limit \
                 with ulimit -n"
            ));
        }
        while *inside >= most {
            inside = self
                .change
                .wait(inside)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub fn enter(self: &Arc<Room>) -> Seat {
        *self.inside() += 1;
        Seat(self.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *self.0.inside() -= 1;
        self.0.change.notify_one();
    }
}

#[cfg(unix)]
fn descriptors_left() -> Option<usize> {
    let limit = usize::try_from(raised()?).ok()?;
    // Without a list, what a process begins with.
    let open = std::fs::read_dir("/dev/fd").map_or(8, Iterator::count);
    Some(limit.saturating_sub(open + SPARE))
}

/// The limit, raised as far as this user may: what a shell gives is meant for programs that use `select`. Not without end,
/// since programs that are started inherit it, and some go through all that there could be.
#[cfg(unix)]
fn raised() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const ENOUGH: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current?;
    let wanted = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    let more = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    if current < wanted && setrlimit(Resource::Nofile, more).is_ok() {
        return Some(wanted);
    }
    Some(current)
}

#[cfg(windows)]
fn descriptors_left() -> Option<usize> {
    None
}

/// Whether an error says that this process or its system is out of something that it will have again.
pub fn is_shortage(error: &std::io::Error) -> bool {
    let inside = npipe::PipeError::of(error).and_then(npipe::PipeError::os_error);
    let Some(code) = inside.or(error.raw_os_error()) else {
        return false;
    };
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
            .contains(&Errno::from_raw_os_error(code))
    }
    #[cfg(windows)]
    {
        // NOT_ENOUGH_MEMORY, NO_SYSTEM_RESOURCES, COMMITMENT_LIMIT, WSAEMFILE, WSAENOBUFS.
        [8, 1450, 1455, 10024, 10055].contains(&code)
    }
}
