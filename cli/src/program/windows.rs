//! A program's pipes and its end, on Windows. Its stdout is a pipe of this library's, whose reads can be given up; it and
//! all that it starts are in one job, which ends as a whole.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::os::windows::io::AsRawHandle;
use std::process::{Child, ChildStdin, Command};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use npipe::{Direction, ListenOptions, PipeStream};
use win32job::{ExtendedLimitInfo, Job};

/// How often one looks whether it has ended.
const LOOK: Duration = Duration::from_millis(200);
/// How long what it wrote last may take to be here.
const LAST_OUTPUT: Duration = Duration::from_millis(10);

pub fn start(mut command: Command) -> io::Result<(Process, Option<Input>, Option<Output>)> {
    let name = format!(
        "npipe-exec-{}-{:016x}",
        std::process::id(),
        RandomState::new().hash_one(std::process::id())
    );
    let listener = ListenOptions::new()
        .direction(Direction::Inbound)
        .max_instances(1)
        .bind(&name)?;
    // Opened as programs expect their stdout: not overlapped.
    let theirs = File::options()
        .write(true)
        .open(listener.local_addr().os_path())?;
    let ours = listener.accept()?;
    ours.set_read_timeout(Some(LOOK))?;
    let mut child = command.stdout(theirs).spawn()?;
    // The command has their end until it is dropped, and would be one that never closes it.
    drop(command);
    let stdin = child.stdin.take();
    // Without a job it is ended alone.
    let job = Job::create()
        .ok()
        .filter(|job| job.assign_process(child.as_raw_handle() as isize).is_ok());
    let process = Process {
        child: Mutex::new(child),
        job: Mutex::new(job),
    };
    Ok((process, stdin.map(Input), Some(Output(ours))))
}

#[derive(Debug)]
pub struct Process {
    pub(super) child: Mutex<Child>,
    job: Mutex<Option<Job>>,
}

impl Process {
    /// There is no such thing for a program without a window.
    pub fn ask_to_end(&self) -> bool {
        false
    }

    pub fn kill(&self) {
        let job = self
            .job
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(job) = job {
            let mut limits = ExtendedLimitInfo::new();
            limits.limit_kill_on_job_close();
            // Closed at the end of this block, and all that is in it with it.
            let _ = job.set_extended_limit_info(&limits);
        }
        // It fails where it has ended already.
        let _ = self.child().kill();
    }

    pub fn wait(&self) {
        while !self.has_ended() {
            std::thread::sleep(LOOK);
        }
    }
}

#[derive(Debug)]
pub struct Input(ChildStdin);

impl Input {
    pub fn write_all(&self, _process: &Process, bytes: &[u8]) -> io::Result<()> {
        { &self.0 }.write_all(bytes)
    }
}

#[derive(Debug)]
pub struct Output(PipeStream);

impl Output {
    pub fn read(&self, process: &Process, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // Looked at before: what it wrote last is there then.
            let ended = process.has_ended();
            if ended {
                self.0.set_read_timeout(Some(LAST_OUTPUT))?;
            }
            match { &self.0 }.read(buffer) {
                Err(e) if e.kind() == ErrorKind::TimedOut && ended => return Ok(0),
                Err(e) if e.kind() == ErrorKind::TimedOut => {}
                read => return read,
            }
        }
    }
}
