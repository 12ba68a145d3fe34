//! A terminal whose every key goes to the other side, as a serial console wants it; but for the one that leaves.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use crate::signals;

/// The key that leaves, by the byte that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escape(Option<u8>);

impl fmt::Display for Escape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("no key"),
            Some(byte @ 0..0x20) => write!(f, "^{}", char::from(byte | 0x40)),
            Some(byte) => write!(f, "{}", char::from(byte)),
        }
    }
}

impl Escape {
    /// Telnet's.
    pub const DEFAULT: Escape = Escape(Some(0x1d));

    /// `^]`, `^A`, `none`.
    pub fn parse(text: &str) -> Result<Escape, String> {
        if text == "none" {
            return Ok(Escape(None));
        }
        match text.as_bytes() {
            [b'^', key] if matches!(key.to_ascii_uppercase(), b'@'..=b'_') => {
                Ok(Escape(Some(key.to_ascii_uppercase() & 0x1f)))
            }
            [key] if key.is_ascii_graphic() && *key != b'^' => Ok(Escape(Some(*key))),
            _ => Err("give a key, as in ^] or ^A, or none".into()),
        }
    }
}

const NONE: u16 = u16::MAX;
static ESCAPE: AtomicU16 = AtomicU16::new(NONE);
/// It has come, and what was typed before it is on its way.
static LEAVES: AtomicBool = AtomicBool::new(false);

/// The terminal is raw until this is dropped, or the process ends.
#[derive(Debug)]
pub struct Raw(());

impl Raw {
    pub fn start(escape: Escape) -> io::Result<Raw> {
        if !io::stdin().is_terminal() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "stdin is no terminal; leave --raw out",
            ));
        }
        // Before the mode: whatever ends us from now on gives it back.
        signals::at_exit(restore);
        crossterm::terminal::enable_raw_mode()?;
        ESCAPE.store(escape.0.map_or(NONE, u16::from), Ordering::SeqCst);
        Ok(Raw(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // Where the terminal has gone there is nothing to give back.
    let _ = crossterm::terminal::disable_raw_mode();
}

/// What of this goes to the other side. None: nothing any more, since the key came before.
pub fn typed(bytes: &[u8]) -> Option<usize> {
    if LEAVES.load(Ordering::SeqCst) {
        return None;
    }
    let escape = ESCAPE.load(Ordering::SeqCst);
    match bytes.iter().position(|&byte| u16::from(byte) == escape) {
        None => Some(bytes.len()),
        Some(0) => None,
        Some(length) => {
            LEAVES.store(true, Ordering::SeqCst);
            Some(length)
        }
    }
}

/// Whether that key has come already, so that nobody waits for another.
pub fn leaves() -> bool {
    LEAVES.load(Ordering::SeqCst)
}

/// The key has come: that is the end, whatever the other side does.
pub fn leave() -> ! {
    restore();
    eprintln!();
    signals::exit(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_as_people_write_them() {
        for (text, byte) in [
            ("^]", Some(0x1d)),
            ("^a", Some(1)),
            ("^A", Some(1)),
            ("^@", Some(0)),
            ("~", Some(b'~')),
            ("none", None),
        ] {
            assert_eq!(Escape::parse(text), Ok(Escape(byte)), "{text}");
        }
        for text in ["", "^", "^1", "esc", "\u{e9}"] {
            assert!(Escape::parse(text).is_err(), "{text}");
        }
    }
}
