//! `npipe replay FILE NAME`: plays what `tap` recorded back to a server, or as one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::address::{Address, Errand};
use crate::commands::tap::record::{Act, Step, step};
use crate::couple::Way;
use crate::door::Door;
use crate::end::End;
use crate::failure::{self, Failure};
use crate::options::{Carry, Dial, Patience, Serve, Ways};
use crate::say;

const EXAMPLES: &str = r"Examples:
  npipe tap front mypipe --record traffic.jsonl    first
  npipe replay traffic.jsonl mypipe                the clients, to a server
  npipe replay --serve traffic.jsonl mypipe        the server, for clients

What was recorded of this side is sent in its order; what was recorded of the
other side is waited for, and compared. What differs is said, and ends with 1.
A client waits --timeout for each answer, 2s unless given.";

/// Play what tap recorded to a server, or as one
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Replay {
    /// What tap --record wrote, or its --format json
    file: PathBuf,

    /// The server, or with --serve the pipe to make
    #[arg(value_parser = Address::parser())]
    name: Address,

    /// Be the server that was recorded, for clients
    #[arg(long)]
    serve: bool,

    /// Take the time that it took
    #[arg(long)]
    paced: bool,

    /// Do not compare what comes with what came
    #[arg(long)]
    any: bool,

    #[command(flatten)]
    dial: Dial,

    #[command(flatten)]
    security: Serve,
}

impl Replay {
    pub fn run(self) -> failure::Result {
        let steps = read(&self.file)?;
        if self.serve {
            return self.serve(steps);
        }
        let mut players: BTreeMap<u64, Player> = BTreeMap::new();
        let began = Instant::now();
        let mut differs = false;
        // In the order in which it was, with as many connections at once as there were.
        for step in steps {
            if let Act::Open = step.act {
                self.pace(began, step.elapsed);
                let far = self.name.dial(&self.dial, &carry(), &Errand::default())?;
                let player =
                    Player::start(far, Way::Up, format!("connection {}", step.connection))?;
                players.insert(step.connection, player);
                continue;
            }
            let Some(player) = players.get_mut(&step.connection) else {
                return Err(Failure::usage(format!(
                    "replay {}: connection {} does not begin in it; give a whole recording",
                    self.file.display(),
                    step.connection
                )));
            };
            if !matches!(step.act, Act::Pass { way: Way::Down, .. }) {
                self.pace(began, step.elapsed);
            }
            let is_close = step.act == Act::Close;
            differs |= !player.play(step.act, self.answer(), self.any)?;
            if is_close {
                players.remove(&step.connection);
            }
        }
        done(differs)
    }

    fn answer(&self) -> Option<Duration> {
        self.dial.timeout().0
    }

    fn pace(&self, began: Instant, elapsed: Duration) {
        if self.paced {
            thread::sleep(elapsed.saturating_sub(began.elapsed()));
        }
    }

    fn serve(self, steps: Vec<Step>) -> failure::Result {
        let mut connections: BTreeMap<u64, Vec<Step>> = BTreeMap::new();
        let mut messages = false;
        for step in steps {
            messages |= matches!(step.act, Act::Pass { message: true, .. });
            connections.entry(step.connection).or_default().push(step);
        }
        let door = match &self.name {
            Address::Pipe(name) | Address::Unix(name) => {
                Door::pipe(name, &self.security.options(messages))?
            }
            Address::Tcp(place) => Door::tcp(place)?,
            _ => {
                return Err(Failure::usage(format!(
                    "replay --serve {}: clients cannot come from there; give a pipe or tcp:HOST:PORT",
                    self.name
                )));
            }
        };
        let replay = Arc::new(self);
        let mut playing = Vec::new();
        for (number, steps) in connections {
            let client = door.accept_within(Patience(None))?;
            let replay = replay.clone();
            let play = move || -> failure::Result<bool> {
                let mut player = Player::start(client, Way::Down, format!("client {number}"))?;
                let began = Instant::now();
                let zero = steps.first().map_or(Duration::ZERO, |step| step.elapsed);
                let mut same = true;
                for step in steps {
                    if matches!(step.act, Act::Pass { way: Way::Down, .. }) {
                        replay.pace(began, step.elapsed.saturating_sub(zero));
                    }
                    // A client takes its time.
                    same &= player.play(step.act, None, replay.any)?;
                }
                Ok(same)
            };
            let playing_one = thread::Builder::new()
                .spawn(play)
                .map_err(|e| Failure::io("start a thread", &e))?;
            playing.push(playing_one);
        }
        drop(door);
        let mut differs = false;
        for play in playing {
            match play.join() {
                Ok(same) => differs |= !same?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done(differs)
    }
}

fn done(differs: bool) -> failure::Result {
    if differs {
        // It has been said where.
        return Err(Failure::silent(failure::IO));
    }
    Ok(())
}

fn carry() -> Carry {
    Carry {
        progress: false,
        access: Ways::Rw,
        message: None,
        linger: None,
    }
}

fn read(path: &Path) -> failure::Result<Vec<Step>> {
    let failed = |e: &io::Error| {
        Failure::io(format_args!("read {}", path.display()), e)
            .advise("give what npipe tap --record wrote")
    };
    let file = File::open(path).map_err(|e| failed(&e))?;
    let mut steps = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| failed(&e))?;
        if line.trim().is_empty() {
            continue;
        }
        steps.push(step(&line).map_err(|why| {
            Failure::usage(format!(
                "replay {}: line {}: {why}; give what npipe tap --record wrote",
                path.display(),
                number + 1
            ))
        })?);
    }
    Ok(steps)
}

/// One end of a connection that is played.
struct Player {
    end: Arc<End>,
    /// What this side sends.
    ours: Way,
    messages: bool,
    parts: Receiver<io::Result<Vec<u8>>>,
    /// What has come and is not compared yet.
    waiting: Vec<u8>,
    name: String,
    closed: bool,
}

impl Player {
    fn start(end: End, ours: Way, name: String) -> failure::Result<Player> {
        let end = Arc::new(end);
        let messages = end.has_messages();
        let parts = end.parts(messages, 16)?;
        Ok(Player {
            end,
            ours,
            messages,
            parts,
            waiting: Vec::new(),
            name,
            closed: false,
        })
    }

    /// False: it was otherwise than recorded, which has been said.
    fn play(&mut self, act: Act, patience: Option<Duration>, any: bool) -> failure::Result<bool> {
        match act {
            Act::Open => Ok(true),
            Act::Pass {
                way,
                bytes,
                message,
            } if way == self.ours => match self.end.write(self.messages && message, &bytes) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    Ok(self.say(any, "it was closed before all was sent"))
                }
                Err(error) => Err(Failure::io(
                    format_args!("write to {}", self.end.name()),
                    &error,
                )),
            },
            Act::Pass { bytes, .. } => Ok(self.expect(&bytes, patience, any)),
            Act::End(way) if way == self.ours => {
                if self.messages {
                    self.end.end_messages();
                } else {
                    self.end.end_write();
                }
                Ok(true)
            }
            Act::End(_) => Ok(true),
            Act::Close => {
                // What is still on its way to the other side is not lost by leaving.
                if self.ours == Way::Down {
                    let _ = self.end.wait_drained();
                }
                self.end.stop_reading(Duration::ZERO);
                Ok(true)
            }
        }
    }

    /// Waits for as much as was recorded, and compares.
    fn expect(&mut self, recorded: &[u8], patience: Option<Duration>, any: bool) -> bool {
        let until = patience.and_then(|time| Instant::now().checked_add(time));
        let mut came_message = false;
        while self.waiting.len() < recorded.len() || recorded.is_empty() && !came_message {
            if recorded.is_empty() && !self.messages {
                return true;
            }
            let part = match until {
                None => self
                    .parts
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
                Some(until) => self
                    .parts
                    .recv_timeout(until.saturating_duration_since(Instant::now())),
            };
            match part {
                Ok(Ok(part)) => {
                    came_message = true;
                    self.waiting.extend_from_slice(&part);
                    if self.messages && self.waiting.len() < recorded.len() {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => break,
                Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                    self.closed = true;
                    break;
                }
            }
        }
        let length = if self.messages {
            self.waiting.len()
        } else {
            self.waiting.len().min(recorded.len())
        };
        let came: Vec<u8> = self.waiting.drain(..length).collect();
        if came == recorded {
            return true;
        }
        let same = came
            .iter()
            .zip(recorded)
            .take_while(|(a, b)| a == b)
            .count();
        let what = match came.get(same) {
            Some(_) if same < recorded.len() => format!(
                "what came differs from byte {} of {} on: {}, and {} was recorded",
                same + 1,
                recorded.len(),
                shown(&came[same..]),
                shown(&recorded[same..])
            ),
            Some(_) => format!(
                "{} bytes came, and {} were recorded",
                came.len(),
                recorded.len()
            ),
            None => format!(
                "{} of {} bytes came{}",
                came.len(),
                recorded.len(),
                if self.closed {
                    " before it was closed"
                } else {
                    " in time"
                }
            ),
        };
        self.say(any, &what)
    }

    fn say(&self, any: bool, what: &str) -> bool {
        if !any {
            say::error(format_args!("{}: {what}", self.name));
        }
        any
    }
}

/// The beginning of it, as text that can be shown.
fn shown(bytes: &[u8]) -> String {
    format!(
        "{:?}",
        String::from_utf8_lossy(&bytes[..bytes.len().min(24)])
    )
}
