//! Our own stdin: as bytes, as messages, and for one client after another.

use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::options::Framing;
use crate::ready;
use crate::say;
use crate::terminal;

/// What is read at once where there are no messages.
pub const BUFFER: usize = 64 * 1024;

/// Std's own buffer is passed by where `buffer` is larger; console input on Windows comes as UTF-8.
pub fn read(buffer: &mut [u8]) -> io::Result<usize> {
    if terminal::leaves() {
        terminal::leave();
    }
    loop {
        match io::stdin().lock().read(buffer) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => ready::stdin()?,
            Ok(length) => match terminal::typed(&buffer[..length]) {
                Some(length) => return Ok(length),
                None => terminal::leave(),
            },
            Err(e) => return Err(e),
        }
    }
}

/// All there is, to its end.
pub fn read_to_end() -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut part = vec![0; BUFFER];
    loop {
        match read(&mut part) {
            Ok(0) => return Ok(all),
            Ok(length) => all.extend_from_slice(&part[..length]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Appends what is one message by `framing`, without what ends it. None is the end.
pub fn next(framing: Option<Framing>, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
    let end = match framing {
        Some(Framing::Lines) => b'\n',
        Some(Framing::Nul) => b'\0',
        Some(Framing::Raw) | None => {
            message.resize(BUFFER, 0);
            let length = read(message)?;
            message.truncate(length);
            return Ok(Some(length).filter(|&length| length > 0));
        }
    };
    loop {
        match io::stdin().lock().read_until(end, message) {
            // What came before that is in the message already.
            Err(e) if e.kind() == ErrorKind::WouldBlock => ready::stdin()?,
            Err(e) => return Err(e),
            Ok(_) if message.is_empty() => return Ok(None),
            Ok(_) => break,
        }
    }
    if message.last() == Some(&end) {
        message.pop();
        if end == b'\n' && message.last() == Some(&b'\r') {
            message.pop();
        }
    }
    Ok(Some(message.len()))
}

/// Stdin for one client after another: what is read while nobody is there waits for the next.
#[derive(Debug)]
pub struct Feed {
    framing: Option<Framing>,
    state: Mutex<State>,
    change: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What was read last, and has not been taken whole.
    waiting: Option<Vec<u8>>,
    taken: usize,
    /// Somebody waits for input. Nothing is read ahead of that, so that a terminal stays with whoever uses it.
    wanted: bool,
    ended: bool,
    /// The present client has left.
    left: bool,
}

impl Feed {
    pub fn start(framing: Option<Framing>) -> io::Result<Arc<Feed>> {
        let feed = Arc::new(Feed {
            framing,
            state: Mutex::default(),
            change: Condvar::new(),
        });
        let fill = feed.clone();
        thread::Builder::new().spawn(move || fill.fill())?;
        Ok(feed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.change
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads stdin to its end, whenever it is wanted.
    fn fill(&self) {
        loop {
            let mut state = self.state();
            while !state.wanted {
                state = self.wait(state);
            }
            drop(state);
            let mut unit = Vec::new();
            let read = next(self.framing, &mut unit);
            let mut state = self.state();
            state.wanted = false;
            match read {
                Ok(Some(_)) => state.waiting = Some(unit),
                Ok(None) => state.ended = true,
                Err(error) => {
                    say::error(format_args!("read from stdin: {error}"));
                    state.ended = true;
                }
            }
            let ended = state.ended;
            drop(state);
            self.change.notify_all();
            if ended {
                return;
            }
        }
    }

    /// A new client is here.
    pub fn enter(&self) {
        self.state().left = false;
    }

    /// The present client has left: a read that waits for it ends.
    pub fn leave(&self) {
        self.state().left = true;
        self.change.notify_all();
    }

    /// Waits until there is input, and lets `take` have it. None is the end, of stdin or of the client.
    fn take<T>(&self, take: impl FnOnce(&mut State) -> T) -> Option<T> {
        let mut state = self.state();
        loop {
            if state.left {
                return None;
            }
            if state.waiting.is_some() {
                return Some(take(&mut state));
            }
            if state.ended {
                return None;
            }
            state.wanted = true;
            self.change.notify_all();
            state = self.wait(state);
        }
    }

    /// What was taken last could not be written, or not all of it, and waits for the next client. (Of bytes, the one that
    /// has left may have read a part.)
    pub fn take_back(&self, bytes: &[u8]) {
        let mut state = self.state();
        if state.waiting.is_some() {
            // The rest of it is here still.
            state.taken = state.taken.saturating_sub(bytes.len());
        } else {
            state.waiting = Some(bytes.to_vec());
        }
    }

    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.take(|state| {
            let unit = state.waiting.take().unwrap_or_default();
            let rest = &unit[state.taken..];
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            if length < rest.len() {
                state.taken += length;
                state.waiting = Some(unit);
            } else {
                state.taken = 0;
            }
            length
        });
        Ok(read.unwrap_or(0))
    }

    pub fn next(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
        Ok(self.take(|state| {
            *message = state.waiting.take().unwrap_or_default();
            message.len()
        }))
    }
}
