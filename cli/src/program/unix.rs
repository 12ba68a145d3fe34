//! A program's pipes and its end, on Unix: whatever waits for the one sees the other too.

use std::io::{self, ErrorKind, Write};
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// How often one looks whether it has ended, where the system has no event for it.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// What may still be read once it has ended: as much as a pipe holds at the most. What comes later is its children's.
const LAST_OUTPUT: usize = 1 << 20;

pub fn start(mut command: Command) -> io::Result<(Process, Option<Input>, Option<Output>)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    if let Some(stdin) = &stdin {
        // Our end alone: the program's is another description.
        fcntl_setfl(stdin, fcntl_getfl(stdin)? | OFlags::NONBLOCK)?;
    }
    let stdout = stdout.map(|pipe| Output {
        pipe,
        left: AtomicUsize::new(LAST_OUTPUT),
    });
    Ok((Process::of(child), stdin.map(Input), stdout))
}

struct Seen {
    event: bool,
    end: bool,
}

#[derive(Debug)]
pub struct Process {
    pub(super) child: Mutex<Child>,
    /// Can be read once it has ended. None: an older kernel.
    #[cfg(target_os = "linux")]
    end: Option<OwnedFd>,
}

impl Process {
    #[cfg(target_os = "linux")]
    fn of(child: Child) -> Process {
        use rustix::process::{PidfdFlags, pidfd_open};
        let pid = Pid::from_child(&child);
        Process {
            end: pidfd_open(pid, PidfdFlags::empty()).ok(),
            child: Mutex::new(child),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn of(child: Child) -> Process {
        Process {
            child: Mutex::new(child),
        }
    }

    #[cfg(target_os = "linux")]
    fn end(&self) -> Option<BorrowedFd<'_>> {
        self.end.as_ref().map(AsFd::as_fd)
    }

    #[cfg(not(target_os = "linux"))]
    fn end(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Whether it could be asked.
    pub fn ask_to_end(&self) -> bool {
        // Held: it is not waited for meanwhile, and so the number is its own.
        let child = self.child();
        kill_process(Pid::from_child(&child), Signal::TERM).is_ok()
    }

    pub fn kill(&self) {
        // It fails where it has ended already.
        let _ = self.child().kill();
    }

    pub fn wait(&self) {
        while !self.has_ended() {
            let _ = self.wait_for(None);
        }
    }

    /// Waits for an event of `file`, or for the end; or not that long, where the system has no event for the end.
    fn wait_for(&self, file: Option<(BorrowedFd<'_>, PollFlags)>) -> io::Result<Seen> {
        let event = file.map(|(file, event)| PollFd::from_borrowed_fd(file, event));
        let end = self
            .end()
            .map(|end| PollFd::from_borrowed_fd(end, PollFlags::IN));
        let time = end.is_none().then_some(&LOOK);
        let mut all: Vec<_> = event.into_iter().chain(end).collect();
        match poll(&mut all, time) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Seen {
            event: file.is_some() && !all[0].revents().is_empty(),
            end: self.has_ended(),
        })
    }
}

#[derive(Debug)]
pub struct Input(ChildStdin);

impl Input {
    pub fn write_all(&self, process: &Process, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match { &self.0 }.write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    let room = (self.0.as_fd(), PollFlags::OUT);
                    if process.wait_for(Some(room))?.end {
                        return Err(ErrorKind::BrokenPipe.into());
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
pub struct Output {
    pipe: ChildStdout,
    left: AtomicUsize,
}

impl Output {
    pub fn read(&self, process: &Process, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let seen = process.wait_for(Some((self.pipe.as_fd(), PollFlags::IN)))?;
            if seen.event {
                return self.take(seen.end, buffer);
            }
            if seen.end {
                // What it wrote last may have come between the two.
                let mut data = [PollFd::new(&self.pipe, PollFlags::IN)];
                return match poll(&mut data, Some(&Timespec::default()))? {
                    0 => Ok(0),
                    _ => self.take(true, buffer),
                };
            }
        }
    }

    fn take(&self, ended: bool, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        let length = if ended {
            buffer.len().min(left)
        } else {
            buffer.len()
        };
        let read = rustix::io::read(&self.pipe, &mut buffer[..length])?;
        if ended {
            self.left.store(left - read, Ordering::Relaxed);
        }
        Ok(read)
    }
}
