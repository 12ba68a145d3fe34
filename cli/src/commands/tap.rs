//! `npipe tap FROM TO`: a relay that shows what passes, and changes nothing.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::address::Address;
use crate::commands::relay::{self, Relay};
use crate::couple::{Watch, Way};
use crate::failure::{self, Failure};
use crate::options::{Carry, Dial, Serve};
use crate::stdout;

const EXAMPLES: &str = r"Examples:
  npipe tap front mypipe               then let the client connect to `front`
  npipe tap front mypipe --format text
  npipe tap front tcp:127.0.0.1:80 --format json --output traffic.jsonl

JSON, a line for each event: time (UTC), elapsed (s), connection, event (open,
data, message, end, close), direction, length, text (if it is UTF-8), hex.";

/// Show what passes between a client and a server
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("message", |message| message.help("Make a message pipe; boundaries are kept")))]
pub struct Tap {
    /// Where clients come from, an address as in relay
    #[arg(value_parser = Address::parser())]
    from: Address,

    /// The server that they want
    #[arg(value_parser = Address::parser())]
    to: Address,

    /// How to show it: hex, text, json
    #[arg(long, value_enum, default_value = "hex", hide_possible_values = true)]
    format: Format,

    /// Write it to a file rather than to stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    carry: Carry,

    #[command(flatten)]
    dial: Dial,

    #[command(flatten)]
    serve: Serve,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Hex,
    Text,
    Json,
}

impl Tap {
    pub fn run(self) -> failure::Result {
        if self.from == Address::Stdio || self.to == Address::Stdio {
            return Err(Failure::usage(
                "tap shows on stdout, so stdio cannot be tapped: give a pipe, tcp:HOST:PORT or exec:COMMAND LINE",
            ));
        }
        let (output, color): (Box<dyn Write + Send>, bool) = match &self.output {
            Some(path) => {
                let file = File::create(path).map_err(|e| Failure::file(path, &e))?;
                (Box::new(file), false)
            }
            None => {
                let color = stdout::is_colored() && io::stdout().is_terminal();
                (Box::new(stdout::writer()), color)
            }
        };
        let path = self.output;
        let failure = move |error| match &path {
            Some(path) => Failure::file(path, &error),
            None => Failure::stdout(error),
        };
        let shown = Show::start(self.format, output, color, failure)
            .map_err(|e| Failure::io("start a thread", &e))?;
        let relay = Relay::new(self.from, self.to, self.carry, self.dial, self.serve);
        let ended = relay.run_watched(Arc::new(Taps(shown.clone())));
        shown.finish();
        ended
    }
}

/// So many events wait to be shown. A slow terminal holds up what passes, rather than that memory grows.
const QUEUE: usize = 16;

/// The one thread that shows, in the order in which things happened.
#[derive(Clone, Debug)]
struct Show {
    began: Instant,
    events: SyncSender<Event>,
}

#[derive(Debug)]
struct Event {
    connection: u64,
    elapsed: Duration,
    time: SystemTime,
    what: What,
}

#[derive(Debug)]
enum What {
    Open,
    Data(Way, Vec<u8>),
    Message(Way, Vec<u8>),
    End(Way),
    Close,
    /// Nothing to show: tells when all before it has been.
    Shown(SyncSender<()>),
}

/// Makes a tap for each connection.
#[derive(Debug)]
struct Taps(Show);

impl relay::Watches for Taps {
    fn open(&self, connection: u64) -> Arc<dyn Watch> {
        let tap = Wire {
            show: Mutex::new(self.0.clone()),
            connection,
        };
        tap.send(What::Open);
        Arc::new(tap)
    }
}

struct Wire {
    show: Mutex<Show>,
    connection: u64,
}

impl Wire {
    fn send(&self, what: What) {
        // Held while it is sent: the times of both ways come in the order of the queue.
        let show = self.show.lock().unwrap_or_else(PoisonError::into_inner);
        show.send(self.connection, what);
    }
}

impl Watch for Wire {
    fn data(&self, way: Way, bytes: &[u8], message: bool) {
        let bytes = bytes.to_vec();
        self.send(if message {
            What::Message(way, bytes)
        } else {
            What::Data(way, bytes)
        });
    }

    fn end(&self, way: Way) {
        self.send(What::End(way));
    }

    fn close(&self) {
        self.send(What::Close);
    }
}

impl Show {
    /// `failure` is what it is when `output` takes no more.
    fn start(
        format: Format,
        mut output: Box<dyn Write + Send>,
        color: bool,
        failure: impl Fn(io::Error) -> Failure + Send + 'static,
    ) -> io::Result<Show> {
        let (events, queue) = mpsc::sync_channel::<Event>(QUEUE);
        thread::Builder::new().spawn(move || {
            for event in queue {
                if let What::Shown(tell) = event.what {
                    let _ = tell.send(());
                    continue;
                }
                let text = match format {
                    Format::Hex => event.hex(color),
                    Format::Text => event.text(color),
                    Format::Json => event.json(),
                };
                if let Err(error) = output
                    .write_all(text.as_bytes())
                    .and_then(|()| output.flush())
                {
                    // Nobody sees it any more: there is no reason to go on.
                    failure(error).exit();
                }
            }
        })?;
        Ok(Show {
            began: Instant::now(),
            events,
        })
    }

    fn send(&self, connection: u64, what: What) {
        let event = Event {
            connection,
            elapsed: self.began.elapsed(),
            time: SystemTime::now(),
            what,
        };
        // The one that shows ends with the process, and not before.
        let _ = self.events.send(event);
    }

    /// Waits until everything is shown.
    fn finish(&self) {
        let (tell, told) = mpsc::sync_channel(1);
        self.send(0, What::Shown(tell));
        let _ = told.recv();
    }
}

fn direction(way: Way) -> &'static str {
    match way {
        Way::Up => "client -> server",
        Way::Down => "client <- server",
    }
}

/// What JSON calls it.
fn from_to(way: Way) -> &'static str {
    match way {
        Way::Up => "client-to-server",
        Way::Down => "server-to-client",
    }
}

/// One line of JSON. The names are promised to stay.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    elapsed: f64,
    connection: u64,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

impl Event {
    fn style(&self, color: bool) -> Style {
        if !color {
            return Style::new();
        }
        match self.what {
            What::Data(Way::Up, _) | What::Message(Way::Up, _) | What::End(Way::Up) => {
                Style::new().fg_color(Some(AnsiColor::Green.into()))
            }
            What::Data(Way::Down, _) | What::Message(Way::Down, _) | What::End(Way::Down) => {
                Style::new().fg_color(Some(AnsiColor::Cyan.into()))
            }
            What::Open | What::Close | What::Shown(_) => Style::new().dimmed(),
        }
    }

    fn heading(&self, color: bool) -> String {
        let style = self.style(color);
        let what = match &self.what {
            What::Open => "connected".to_owned(),
            What::Data(way, bytes) => {
                format!("{}  {}", direction(*way), count(bytes.len(), "byte"))
            }
            What::Message(way, bytes) => {
                format!(
                    "{}  message of {}",
                    direction(*way),
                    count(bytes.len(), "byte")
                )
            }
            What::End(way) => format!("{}  end", direction(*way)),
            What::Close | What::Shown(_) => "closed".to_owned(),
        };
        format!(
            "{style}{:>12.6}  #{}  {what}{style:#}",
            self.elapsed.as_secs_f64(),
            self.connection
        )
    }

    fn hex(&self, color: bool) -> String {
        let mut shown = self.heading(color);
        shown.push('\n');
        if let What::Data(_, bytes) | What::Message(_, bytes) = &self.what {
            for (line, chunk) in bytes.chunks(16).enumerate() {
                hex_line(&mut shown, line * 16, chunk);
            }
        }
        shown
    }

    fn text(&self, color: bool) -> String {
        let mut shown = self.heading(color);
        if let What::Data(_, bytes) | What::Message(_, bytes) = &self.what {
            shown.push_str("  \"");
            for chunk in bytes.utf8_chunks() {
                for c in chunk.valid().chars() {
                    // Quotes of either kind are plain to see without a backslash.
                    if c == '\'' {
                        shown.push(c)
                    } else {
                        shown.extend(c.escape_debug())
                    }
                }
                for byte in chunk.invalid() {
                    let _ = write!(shown, "\\x{byte:02x}");
                }
            }
            shown.push('"');
        }
        shown.push('\n');
        shown
    }

    fn json(&self) -> String {
        let mut line = Line {
            time: utc(self.time),
            elapsed: self.elapsed.as_secs_f64(),
            connection: self.connection,
            event: "",
            direction: None,
            length: None,
            text: None,
            hex: None,
        };
        match &self.what {
            What::Open => line.event = "open",
            What::Close | What::Shown(_) => line.event = "close",
            What::End(way) => {
                line.event = "end";
                line.direction = Some(from_to(*way));
            }
            What::Data(way, bytes) | What::Message(way, bytes) => {
                line.event = if matches!(self.what, What::Data(..)) {
                    "data"
                } else {
                    "message"
                };
                line.direction = Some(from_to(*way));
                line.length = Some(bytes.len());
                line.text = std::str::from_utf8(bytes).ok();
                let mut hex = String::with_capacity(bytes.len() * 2);
                for byte in bytes {
                    let _ = write!(hex, "{byte:02x}");
                }
                line.hex = Some(hex);
            }
        }
        // Strings and numbers always have a form in JSON.
        let mut json = serde_json::to_string(&line).unwrap_or_default();
        json.push('\n');
        json
    }
}

fn hex_line(shown: &mut String, at: usize, bytes: &[u8]) {
    let _ = write!(shown, "  {at:08x} ");
    for column in 0..16 {
        if column == 8 {
            shown.push(' ');
        }
        let _ = match bytes.get(column) {
            Some(byte) => write!(shown, " {byte:02x}"),
            None => write!(shown, "   "),
        };
    }
    shown.push_str("  ");
    shown.extend(bytes.iter().map(|&byte| match byte {
        b' '..=b'~' => char::from(byte),
        _ => '.',
    }));
    shown.push('\n');
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// `2026-01-31T12:34:56.789012Z`
fn utc(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Days since 1970-01-01 as a date, by way of 400-year eras that begin in March, so that a leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: &[u8]) -> Event {
        Event {
            connection: 1,
            elapsed: Duration::from_micros(1234),
            time: UNIX_EPOCH + Duration::new(1_709_251_199, 5_000),
            what: What::Data(Way::Up, bytes.to_vec()),
        }
    }

    #[test]
    fn a_chunk_in_each_format() {
        let chunk = event(b"Hello from C#\r\n\xff\x00 \"q\"");
        assert_eq!(
            chunk.hex(false),
            "    0.001234  #1  client -> server  21 bytes\n\
             \x20 00000000  48 65 6c 6c 6f 20 66 72  6f 6d 20 43 23 0d 0a ff  Hello from C#...\n\
             \x20 00000010  00 20 22 71 22                                    . \"q\"\n"
        );
        assert_eq!(
            chunk.text(false),
            "    0.001234  #1  client -> server  21 bytes  \"Hello from C#\\r\\n\\xff\\0 \\\"q\\\"\"\n"
        );
        assert_eq!(
            event(b"a\n").json(),
            "{\"time\":\"2024-02-29T23:59:59.000005Z\",\"elapsed\":0.001234,\"connection\":1,\"event\":\"data\",\
             \"direction\":\"client-to-server\",\"length\":2,\"text\":\"a\\n\",\"hex\":\"610a\"}\n"
        );
        assert!(chunk.hex(true).starts_with("\u{1b}[32m"));
    }

    #[test]
    fn dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (19_782, (2024, 2, 29)),
            (20_454, (2026, 1, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
    }
}
