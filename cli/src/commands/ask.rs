//! `npipe ask NAME TEXT`: one request, one answer, and done.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::address::{Address, Errand};
use crate::failure::{self, Failure};
use crate::options::{Carry, Dial, Patience, Ways};
use crate::stdin;
use crate::stdout::print;
use crate::threads::STACK;

const EXAMPLES: &str = r#"Examples:
  npipe ask mypipe 'what time is it?'                    a line, and its answer
  npipe ask /tmp/mpv.sock '{"command": ["get_property", "time-pos"]}'
  npipe ask --until OK mypipe status                     all up to that
  npipe ask --linger 500ms mypipe list                   until it is quiet
  npipe ask tcp:127.0.0.1:80 --until '</html>' < request.http

TEXT is sent as a line, stdin as it is; on a message pipe each is one message,
and so is the answer. With --timeout the answer must be whole within that too."#;

/// Send one request, print its answer, and end
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Ask {
    /// The pipe, or an address as in relay
    #[arg(value_parser = Address::parser())]
    name: Address,

    /// What to send; without it, all of stdin
    text: Option<OsString>,

    /// Print all up to STRING, rather than one line
    #[arg(long, value_name = "STRING", conflicts_with = "linger")]
    until: Option<OsString>,

    /// Print all that comes until nothing has for TIME
    #[arg(long, value_name = "TIME")]
    linger: Option<Patience>,

    #[command(flatten)]
    dial: Dial,
}

/// When the answer is whole.
enum Whole {
    /// One message.
    Message,
    /// This is in it.
    Mark(Vec<u8>),
    /// So long nothing has come, if ever.
    Quiet(Option<Duration>),
}

impl Ask {
    pub fn run(self) -> failure::Result {
        if self.name == Address::Stdio {
            return Err(Failure::usage(
                "ask stdio: nobody answers there; give a pipe",
            ));
        }
        let carry = Carry {
            progress: false,
            access: Ways::Rw,
            message: None,
            linger: None,
        };
        let far = Arc::new(self.name.dial(&self.dial, &carry, &Errand::default())?);
        let messages = far.has_messages();
        let request = self.request(messages)?;
        let whole = match (self.until, self.linger) {
            (Some(mark), _) => Whole::Mark(mark.into_encoded_bytes()),
            (None, Some(time)) => Whole::Quiet(time.0),
            (None, None) if messages => Whole::Message,
            (None, None) => Whole::Mark(b"\n".to_vec()),
        };
        // Before it is asked: two sides that both write first would wait for each other.
        let parts = far.parts(messages, 1)?;
        let name = far.name();
        let limit = self.dial.timeout.and_then(|time| time.0);
        let until = limit.and_then(|time| Instant::now().checked_add(time));
        let (tell, told) = mpsc::sync_channel(1);
        let to = far.clone();
        thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || tell.send(to.write(messages, &request)))
            .map_err(|e| Failure::io("start a thread", &e))?;
        let mut answer = Answer {
            bytes: Vec::new(),
            printed: 0,
            whole,
        };
        let ended = answer.wait(&parts, until);
        answer.print()?;
        match ended {
            Ended::Whole => Ok(()),
            // What was asked has not gone out: that is why nothing has come.
            Ended::Closed(_) if answer.bytes.is_empty() => match told.try_recv() {
                Ok(Err(error)) if error.kind() != ErrorKind::BrokenPipe => {
                    Err(Failure::io(format_args!("write to {name}"), &error))
                }
                _ => Err(Failure::new(
                    failure::IO,
                    format!(
                        "ask {name}: it closed without an answer; npipe tap shows what it is sent"
                    ),
                )),
            },
            Ended::Closed(None) => Ok(()),
            Ended::Closed(Some(error)) => {
                Err(Failure::io(format_args!("read from {name}"), &error))
            }
            Ended::Late => Err(Failure::new(
                failure::TIMED_OUT,
                format!(
                    "ask {name}: no whole answer came in time; give it longer with --timeout, or say with --until or --linger where it ends"
                ),
            )),
        }
    }

    fn request(&self, messages: bool) -> failure::Result<Vec<u8>> {
        if let Some(text) = &self.text {
            let mut line = text.clone().into_encoded_bytes();
            if !messages {
                line.push(b'\n');
            }
            return Ok(line);
        }
        let mut request = stdin::read_to_end().map_err(|e| Failure::io("read from stdin", &e))?;
        if messages && request.last() == Some(&b'\n') {
            // It is `echo`'s, or an editor's.
            request.pop();
            if request.last() == Some(&b'\r') {
                request.pop();
            }
        }
        Ok(request)
    }
}

struct Answer {
    bytes: Vec<u8>,
    printed: usize,
    whole: Whole,
}

enum Ended {
    Whole,
    /// By the other side, or by what went wrong.
    Closed(Option<io::Error>),
    Late,
}

impl Answer {
    fn wait(&mut self, parts: &Receiver<io::Result<Vec<u8>>>, until: Option<Instant>) -> Ended {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let quiet = match &self.whole {
                // Nobody is quiet who has not said anything yet.
                Whole::Quiet(time) if !self.bytes.is_empty() => *time,
                _ => None,
            };
            let patience = quiet.into_iter().chain(left).min();
            let part = match patience {
                Some(time) => parts.recv_timeout(time),
                None => parts.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match part {
                Ok(Ok(part)) => {
                    let before = self.bytes.len();
                    self.bytes.extend_from_slice(&part);
                    if self.is_whole(before) {
                        return Ended::Whole;
                    }
                    if self.print().is_err() {
                        return Ended::Whole;
                    }
                }
                Ok(Err(error)) => return Ended::Closed(Some(error)),
                Err(RecvTimeoutError::Disconnected) => return Ended::Closed(None),
                Err(RecvTimeoutError::Timeout) if patience == quiet => return Ended::Whole,
                Err(RecvTimeoutError::Timeout) => return Ended::Late,
            }
        }
    }

    /// Whether what came after `before` makes it whole; what is beyond the mark is no part of it.
    fn is_whole(&mut self, before: usize) -> bool {
        match &self.whole {
            Whole::Message => {
                self.bytes.push(b'\n');
                true
            }
            Whole::Quiet(_) => false,
            Whole::Mark(mark) => {
                let from = before.saturating_sub(mark.len().saturating_sub(1));
                let at = self.bytes[from..]
                    .windows(mark.len().max(1))
                    .position(|window| window.starts_with(mark));
                if let Some(at) = at {
                    self.bytes.truncate(from + at + mark.len());
                }
                at.is_some()
            }
        }
    }

    /// Prints what there is, as it comes: an answer may be long.
    fn print(&mut self) -> failure::Result {
        let new = &self.bytes[self.printed..];
        print(new)?;
        self.printed = self.bytes.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_across_parts_and_ends_the_answer() {
        for split in 0..=9 {
            let mut answer = Answer {
                bytes: Vec::new(),
                printed: 0,
                whole: Whole::Mark(b"END".to_vec()),
            };
            let (one, other) = b"abcENENDx".split_at(split);
            let mut whole = false;
            for part in [one, other].into_iter().filter(|part| !part.is_empty()) {
                if !whole {
                    let before = answer.bytes.len();
                    answer.bytes.extend_from_slice(part);
                    whole = answer.is_whole(before);
                }
            }
            assert!(whole);
            assert_eq!(answer.bytes, b"abcENEND");
        }
    }
}
