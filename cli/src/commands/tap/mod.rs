//! `npipe tap FROM TO`: a relay that shows what passes, and changes nothing.
//!
//! `event` is what happens, `text`, `record`, `http` and `capture` are ways to show it, `show` is the thread that does.

mod capture;
mod event;
mod http;
pub mod record;
mod show;
mod text;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use self::event::Filter;
use self::show::{Show, Shown, Taps};
use crate::address::Address;
use crate::commands::relay::Relay;
use crate::couple::Way;
use crate::failure::{self, Failure};
use crate::options::{Carry, Dial, Serve, bytes};
use crate::stdout;

const EXAMPLES: &str = r"Examples:
  npipe tap front mypipe               then let the client connect to `front`
  npipe tap front docker_engine --format http
  npipe tap front mypipe --record traffic.jsonl   what npipe replay plays back
  npipe tap front mypipe --pcapng traffic.pcapng  what Wireshark reads

JSON, a line for each event: time (UTC), elapsed (s), connection, event (open,
data, message, end, close), direction (client-to-server, server-to-client),
length, text or, of what is no UTF-8, base64; cut: true if --bytes has cut it.";

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

    /// Show it as hex, text, json, http
    #[arg(long, value_enum, default_value = "hex", hide_possible_values = true)]
    format: Format,

    /// Show no more than this of each chunk: 64, 4k
    #[arg(long, value_name = "N", value_parser = bytes)]
    bytes: Option<usize>,

    /// Show only what this side says: client, server
    #[arg(long, value_name = "SIDE", value_enum)]
    #[arg(hide_possible_values = true)]
    only: Option<Side>,

    /// Show only chunks and messages with TEXT in them
    #[arg(long = "match", value_name = "TEXT")]
    part: Option<OsString>,

    /// Write it to a file rather than to stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write all of it to a file too, for npipe replay
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Write all of it to a file too, for Wireshark
    #[arg(long, value_name = "FILE")]
    pcapng: Option<PathBuf>,

    #[command(flatten)]
    carry: Carry,

    #[command(flatten)]
    dial: Dial,

    #[command(flatten)]
    serve: Serve,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Hex,
    Text,
    Json,
    Http,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Side {
    Client,
    Server,
}

impl Tap {
    pub fn run(self) -> failure::Result {
        if self.from == Address::Stdio || self.to == Address::Stdio {
            return Err(Failure::usage(
                "tap shows on stdout, so stdio cannot be tapped: give a pipe, tcp:HOST:PORT or exec:COMMAND LINE",
            ));
        }
        let mut shown = vec![self.main()?];
        if let Some(path) = &self.record {
            shown.push(record(path)?);
        }
        if let Some(path) = &self.pcapng {
            shown.push(capture(path)?);
        }
        let show = Show::start(shown).map_err(|e| Failure::io("start a thread", &e))?;
        let relay = Relay::new(self.from, self.to, self.carry, self.dial, self.serve);
        let ended = relay.run_watched(Arc::new(Taps(show.clone())));
        show.finish();
        ended
    }

    /// What a person watches.
    fn main(&self) -> failure::Result<Shown> {
        let (output, color): (Box<dyn Write + Send>, bool) = match &self.output {
            Some(path) => (Box::new(create(path)?), false),
            None => {
                let color = stdout::is_colored() && io::stdout().is_terminal();
                (Box::new(stdout::writer()), color)
            }
        };
        let filter = Filter {
            way: self.only.map(|side| match side {
                Side::Client => Way::Up,
                Side::Server => Way::Down,
            }),
            part: self.part.clone().map(OsString::into_encoded_bytes),
        };
        let most = self.bytes.unwrap_or(usize::MAX);
        let mut form: show::Form = match self.format {
            Format::Hex => Box::new(move |event| text::hex(event, most, color).into()),
            Format::Text => Box::new(move |event| text::text(event, most, color).into()),
            Format::Json => Box::new(move |event| record::json(event, most).into()),
            Format::Http => {
                let mut http = http::Http::new(most, color);
                Box::new(move |event| http.show(event).into())
            }
        };
        Ok(Shown {
            output,
            form: Box::new(move |event| {
                if filter.wants(event) {
                    form(event)
                } else {
                    Vec::new()
                }
            }),
            failure: failed(self.output.clone()),
        })
    }
}

fn record(path: &Path) -> failure::Result<Shown> {
    Ok(Shown {
        output: Box::new(BufWriter::new(create(path)?)),
        form: Box::new(|event| record::json(event, usize::MAX).into()),
        failure: failed(Some(path.to_owned())),
    })
}

fn capture(path: &Path) -> failure::Result<Shown> {
    let mut capture = capture::Capture::default();
    Ok(Shown {
        output: Box::new(BufWriter::new(create(path)?)),
        form: Box::new(move |event| capture.packets(event)),
        failure: failed(Some(path.to_owned())),
    })
}

fn create(path: &Path) -> failure::Result<File> {
    File::create(path).map_err(|e| Failure::file(path, &e))
}

/// What it is that nothing more can be written there. None is stdout.
fn failed(path: Option<PathBuf>) -> Box<dyn Fn(io::Error) -> Failure + Send> {
    Box::new(move |error| match &path {
        Some(path) => Failure::file(path, &error),
        None => Failure::stdout(error),
    })
}
