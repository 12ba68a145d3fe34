//! A long job that tells how far it is and never waits for whoever listens:
//! `cargo run --example progress [PIPE [STEPS [MS]]]`.
//!
//! The other side is `interop/csharp/Progress.cs`. It may come late, read slowly or not at all, leave, and come again;
//! and there may be several. The job's pace is its own: what a reader has no room for is left out, and the next value
//! that fits is the newest. Each value is a line, `42 of 200`, and none is cut.

use std::io::{self, ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use npipe::{Direction, ListenOptions, PipeListener, PipeStream};

/// What waits in the pipe is old news to a slow reader: room for a few lines is enough. Systems round it up.
const ROOM: u32 = 256;

/// Once the job is done it may wait, for so long at the most, until its readers have room for the last value.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "progress".into());
    let mut number = |default| match arguments.next() {
        Some(word) => word.parse().map_err(io::Error::other),
        None => Ok(default),
    };
    let (steps, pause): (u64, u64) = (number(200)?, number(50)?);

    let mut progress = Progress::bind(&name)?;
    eprintln!("waiting for a client on {}", progress.listener.local_addr());
    let value = |step| format!("{step} of {steps}\n");
    for step in 1..=steps {
        thread::sleep(Duration::from_millis(pause)); // the work
        progress.report(&value(step));
    }
    progress.finish(&value(steps));
    println!("{steps} steps are done");
    Ok(())
}

/// Whoever listens to the job.
struct Progress {
    listener: PipeListener,
    readers: Vec<Reader>,
}

impl Progress {
    fn bind(name: &str) -> io::Result<Progress> {
        let listener = ListenOptions::new()
            .direction(Direction::Outbound) // clients read
            .output_buffer_size(ROOM)
            .bind(name)?;
        listener.set_nonblocking(true)?;
        Ok(Progress {
            listener,
            readers: Vec::new(),
        })
    }

    /// Tells the newest value to everybody who has room for it. It never waits.
    fn report(&mut self, newest: &str) {
        loop {
            match self.listener.accept() {
                Ok(stream) => self.readers.extend(Reader::new(stream)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The job does not end for want of a listener.
                Err(error) => {
                    eprintln!("{error}");
                    break;
                }
            }
        }
        // Who cannot be written to has gone.
        self.readers
            .retain_mut(|reader| reader.offer(newest).is_ok());
    }

    /// The last value is for everybody who reads at all.
    fn finish(self, last: &str) {
        let until = Instant::now() + PATIENCE;
        for reader in self.readers {
            if let Err(error) = reader.finish(last, until) {
                eprintln!("a reader goes without the last value: {error}");
            }
        }
    }
}

struct Reader {
    stream: PipeStream,
    /// The value that is on its way, unless all of it has gone out, and how much of it has.
    line: String,
    sent: usize,
}

impl Reader {
    fn new(stream: PipeStream) -> io::Result<Reader> {
        stream.set_nonblocking(true)?;
        Ok(Reader {
            stream,
            line: String::new(),
            sent: 0,
        })
    }

    /// A line that has begun to go out comes first; one that has not gives way to the newest.
    fn offer(&mut self, newest: &str) -> io::Result<()> {
        if self.sent > 0 {
            self.write()?;
        }
        if self.sent == 0 {
            self.line = newest.to_owned();
            self.write()?;
        }
        Ok(())
    }

    /// Writes as much of the line as there is room for.
    fn write(&mut self) -> io::Result<()> {
        match (&self.stream).write(&self.line.as_bytes()[self.sent..]) {
            Ok(length) => self.sent += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if self.sent == self.line.len() {
            self.line.clear();
            self.sent = 0;
        }
        Ok(())
    }

    fn finish(self, last: &str, until: Instant) -> io::Result<()> {
        let mut rest = self.line[self.sent..].to_owned();
        if self.sent > 0 && self.line != last {
            rest += last;
        }
        self.stream.set_nonblocking(false)?;
        self.stream.set_write_deadline(Some(until))?;
        (&self.stream).write_all(rest.as_bytes())
    }
}
