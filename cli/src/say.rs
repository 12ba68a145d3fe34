//! What is said beside the data: always on stderr, a line at a time.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::ready;

const QUIET: u8 = 0;
const NORMAL: u8 = 1;
const VERBOSE: u8 = 2;

static LEVEL: AtomicU8 = AtomicU8::new(NORMAL);

pub fn set_level(quiet: bool, verbose: bool) {
    let level = match (quiet, verbose) {
        (true, _) => QUIET,
        (false, true) => VERBOSE,
        (false, false) => NORMAL,
    };
    LEVEL.store(level, Ordering::Relaxed);
}

/// An error. Said whatever the level.
pub fn error(line: impl fmt::Display) {
    // In one write, so that two threads do not mix their lines. Where stderr is gone there is nobody to tell.
    let line = plain(&line.to_string());
    let _ = ready::write_all(&mut io::stderr(), format!("npipe: {line}\n").as_bytes());
}

/// What a person wants to know unless they said `-q`.
pub fn note(line: impl fmt::Display) {
    if LEVEL.load(Ordering::Relaxed) >= NORMAL {
        error(line);
    }
}

/// What a person wants to know who said `-v`.
pub fn detail(line: impl fmt::Display) {
    if LEVEL.load(Ordering::Relaxed) >= VERBOSE {
        error(line);
    }
}

/// A name as it can be shown: whoever made it may have put a terminal's commands into it.
pub fn plain(name: &str) -> String {
    name.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_a_terminal_no_commands() {
        assert_eq!(plain("my pipe ü"), "my pipe ü");
        assert_eq!(plain("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
    }
}
