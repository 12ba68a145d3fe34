//! Waits until there may be other pipes than before: Linux reports changes of a directory's files, but not a server's
//! end.

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// How long it takes to see what nothing reports.
#[cfg(target_os = "linux")]
const LOOK: Duration = Duration::from_secs(1);
#[cfg(not(target_os = "linux"))]
const LOOK: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub struct Changes {
    #[cfg(target_os = "linux")]
    told: Option<OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Changes {
    /// Of the pipes in `directory`.
    pub fn watch(directory: &Path) -> Changes {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let watch = || -> std::io::Result<OwnedFd> {
            let told = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let what = WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO;
            add_watch(&told, directory, what)?;
            Ok(told)
        };
        // Where the system has no more of them, looking has to do.
        Changes { told: watch().ok() }
    }

    pub fn wait(&self) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let Some(told) = &self.told else {
            std::thread::sleep(LOOK);
            return;
        };
        let limit = Timespec {
            tv_sec: LOOK.as_secs() as i64,
            tv_nsec: 0,
        };
        // A signal is as good a reason to look as any.
        let _ = poll(&mut [PollFd::new(told, PollFlags::IN)], Some(&limit));
        // What exactly has changed is looked at anyway.
        let mut events = [0; 4096];
        while rustix::io::read(told, &mut events).is_ok_and(|length| length > 0) {}
    }
}

#[cfg(not(target_os = "linux"))]
impl Changes {
    /// Of the pipes in `directory`.
    pub fn watch(_directory: &Path) -> Changes {
        Changes {}
    }

    pub fn wait(&self) {
        std::thread::sleep(LOOK);
    }
}
