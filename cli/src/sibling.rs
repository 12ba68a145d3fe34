//! Another process of this same program: the server of `bench`, the halves of `demo`.
//!
//! It ends when its stdin does; and that ends with the process that started it, however that one ends.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{self, Failure};

/// How long it may take to end by itself, and to give its name back.
const GRACE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(2);

/// Dropped, it is ended.
#[derive(Debug)]
pub struct Sibling(Child);

impl Sibling {
    pub fn start<S: AsRef<OsStr>>(args: &[S], stdout: Stdio) -> failure::Result<Sibling> {
        let program =
            std::env::current_exe().map_err(|e| Failure::io("find this program's own file", &e))?;
        Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .spawn()
            .map(Sibling)
            .map_err(|e| Failure::io("start another process", &e))
    }

    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Ends it, and tells whether it had failed before.
    pub fn end(mut self) -> failure::Result {
        self.finish();
        self.has_ended().map(drop)
    }

    fn finish(&mut self) {
        drop(self.0.stdin.take());
        let until = Instant::now() + GRACE;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < until {
            thread::sleep(LOOK);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Whether it has ended. If it has failed it has also said why, and this is that failure without a word.
    pub fn has_ended(&mut self) -> failure::Result<bool> {
        let status = self
            .0
            .try_wait()
            .map_err(|e| Failure::io("wait for the other process", &e))?;
        match status {
            None => Ok(false),
            Some(status) if status.success() => Ok(true),
            Some(status) => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                Err(Failure::silent(code.unwrap_or(failure::IO)))
            }
        }
    }
}

/// Waits until one of two has ended.
pub fn wait_for_either(one: &mut Sibling, other: &mut Sibling) -> failure::Result {
    while !one.has_ended()? && !other.has_ended()? {
        thread::sleep(LOOK);
    }
    Ok(())
}

impl Drop for Sibling {
    fn drop(&mut self) {
        self.finish();
    }
}

/// In the other process: calls `end` once stdin has ended.
pub fn when_left_alone(end: impl FnOnce() + Send + 'static) -> failure::Result {
    thread::Builder::new()
        .spawn(move || {
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            end();
        })
        .map(drop)
        .map_err(|e| Failure::io("start a thread", &e))
}
