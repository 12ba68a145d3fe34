//! What the chores print: headings, and the progress of something long.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A heading: what happens next.
pub fn say(text: &str) {
    paint("1;34", "==>", text);
}

/// Something that the reader should know, and that is no failure.
pub fn note(text: &str) {
    paint("1;33", "note:", text);
}

pub fn fail(text: &str) {
    paint("1;31", "error:", text);
}

fn paint(color: &str, mark: &str, text: &str) {
    let mut out = io::stdout().lock();
    let _ = if out.is_terminal() {
        writeln!(out, "\x1b[{color}m{mark}\x1b[0m {text}")
    } else {
        writeln!(out, "{mark} {text}")
    };
    let _ = out.flush();
}

/// Shows that something long is alive: a line that rewrites itself on a terminal, a line now and then in a log.
#[derive(Debug)]
pub struct Progress {
    what: String,
    began: Instant,
    shown: Instant,
    latest: String,
    terminal: bool,
}

impl Progress {
    pub fn begin(what: &str) -> Progress {
        say(what);
        Progress {
            what: what.to_owned(),
            began: Instant::now(),
            shown: Instant::now(),
            latest: String::new(),
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Takes note of the latest line of output.
    pub fn line(&mut self, line: &str) {
        line.trim().clone_into(&mut self.latest);
    }

    /// To be called often; shows something when it is time to.
    pub fn tick(&mut self) {
        let every = if self.terminal {
            Duration::from_millis(500)
        } else {
            Duration::from_secs(15)
        };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let seconds = self.began.elapsed().as_secs();
        let latest: String = self.latest.chars().take(80).collect();
        if self.terminal {
            print!("\r\x1b[2K    {seconds} s  {latest}");
            let _ = io::stdout().flush();
        } else {
            println!("    {}: {seconds} s  {latest}", self.what);
        }
    }

    pub fn end(self) {
        if self.terminal {
            print!("\r\x1b[2K");
            let _ = io::stdout().flush();
        }
        let seconds = self.began.elapsed().as_secs();
        if seconds >= 5 {
            println!("    done in {seconds} s");
        }
    }
}
