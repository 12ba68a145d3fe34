//! `npipe demo`: a server and a client in two processes, what they say line by line, and C# to put in place of either.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::process::Stdio;

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use npipe::{CancelToken, ConnectOptions, ListenOptions, PipeName, PipeState, PipeStream};

use crate::address::pipe_name;
use crate::failure::{self, Failure};
use crate::sibling::{self, Sibling};
use crate::signals::Guarded;
use crate::stdout::{print, print_styled};

/// The same text as `interop/csharp/`, where it is run; here so that it is in the package.
const SERVER_CS: &str = include_str!("../../csharp/Server.cs");
const CLIENT_CS: &str = include_str!("../../csharp/Client.cs");

/// The name in the C# programs.
const MYPIPE: &str = "mypipe";

const EXAMPLES: &str = r"Examples:
  npipe demo                                 two processes of Rust
  npipe demo --csharp server > Server.cs     C# for one side;
  npipe demo --as client                     and Rust for the other";

/// Run a server and a client, and print C# for either side
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Demo {
    /// The pipe [default: one of its own; mypipe with --as]
    #[arg(value_parser = pipe_name())]
    name: Option<OsString>,

    /// Be the server or the client alone, and wait for the other
    #[arg(
        long = "as",
        value_name = "SIDE",
        conflicts_with = "csharp",
        hide_possible_values = true
    )]
    side: Option<Side>,

    /// End with stdin, since that is the end of the process that shows both sides
    #[arg(long, hide = true, requires = "side")]
    sibling: bool,

    /// Print C# for the server or the client
    #[arg(long, value_name = "SIDE", hide_possible_values = true)]
    csharp: Option<Side>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Side {
    Server,
    Client,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Side::Server => "server",
            Side::Client => "client",
        }
    }
}

impl Demo {
    pub fn run(self) -> failure::Result {
        if let Some(side) = self.csharp {
            let source = match side {
                Side::Server => SERVER_CS,
                Side::Client => CLIENT_CS,
            };
            return match &self.name {
                Some(name) => print(source.replace(
                    &format!("\"{MYPIPE}\""),
                    &csharp_literal(&name.to_string_lossy()),
                )),
                None => print(source),
            };
        }
        match self.side {
            Some(side) => {
                let name = self.name.as_deref().unwrap_or(OsStr::new(MYPIPE));
                match side {
                    Side::Server => serve(name, self.sibling),
                    Side::Client => visit(name, self.sibling),
                }
            }
            None => {
                let own = || format!("npipe-demo-{}", std::process::id()).into();
                show(&self.name.unwrap_or_else(own))
            }
        }
    }
}

/// A verbatim string, in which nothing but a quote means anything.
fn csharp_literal(text: &str) -> String {
    format!("@\"{}\"", text.replace('"', "\"\""))
}

/// Both sides. They write to our own stdout, so that the order in which things happen is the order in which they show.
fn show(name: &OsStr) -> failure::Result {
    let address = PipeName::new(name).map_err(|e| Failure::pipe(&e))?;
    // Found out before the client starts, which would talk to whoever that is.
    if matches!(npipe::state(name), Ok(PipeState::Live)) {
        return Err(Failure::new(
            failure::NAME_TAKEN,
            format!(
                "demo on {address}: another server has this name; choose another name, or end that server"
            ),
        ));
    }
    print(format!(
        "A server and a client, two processes, on the pipe {address}\n\n"
    ))?;
    let start = |side: Side| {
        let [demo, sibling, as_, side] = ["demo", "--sibling", "--as", side.word()].map(OsStr::new);
        let args = [demo, sibling, as_, side, name];
        Sibling::start(&args, Stdio::inherit())
    };
    let mut server = start(Side::Server)?;
    let mut client = start(Side::Client)?;
    sibling::wait_for_either(&mut client, &mut server)?;
    // The other one has come to its end too, or is ended: there is nobody left for it to talk to.
    client.end()?;
    server.end()?;
    print(
        "\nTo put C# in place of one of them:\n\
         \n  npipe demo --csharp server > Server.cs\
         \n  npipe demo --as client\n\
         \nor --csharp client and --as server. Its first lines say how to compile it.\n",
    )
}

fn tell(side: Side, what: &str, line: &str) -> failure::Result {
    let style = match side {
        Side::Server => Style::new().fg_color(Some(AnsiColor::Cyan.into())),
        Side::Client => Style::new().fg_color(Some(AnsiColor::Green.into())),
    };
    let quoted = if line.is_empty() {
        String::new()
    } else {
        format!(": {line}")
    };
    let line = format!("{style}{}{style:#} | {what}{quoted}\n", side.word());
    // In one write, since the other process writes here too.
    print_styled(&line)
}

fn serve(name: &OsStr, sibling: bool) -> failure::Result {
    let bind = || ListenOptions::new().bind(name);
    let listener = Guarded::bind(bind).map_err(|e| Failure::pipe(&e))?;
    if sibling {
        let shared = listener.share();
        sibling::when_left_alone(move || shared.close())?;
    }
    tell(Side::Server, "waits for a client", "")?;
    let stream = listener.accept().map_err(failure)?;
    let mut talk = Talk::new(Side::Server, &stream);
    talk.hear()?;
    talk.say("Hello from Rust")?;
    talk.hear()
}

fn visit(name: &OsStr, sibling: bool) -> failure::Result {
    let token = CancelToken::new();
    let connect = ConnectOptions::new()
        .wait_for_server(true)
        .no_timeout()
        .cancel(&token);
    if sibling {
        sibling::when_left_alone(move || token.cancel())?;
    }
    tell(Side::Client, "looks for a server", "")?;
    let stream = connect.connect(name).map_err(failure)?;
    let mut talk = Talk::new(Side::Client, &stream);
    talk.say("Hello from Rust")?;
    talk.hear()?;
    talk.say("Rust is done")
}

fn failure(error: io::Error) -> Failure {
    match error.kind() {
        // Left alone: whoever did so has said why, or has nobody to say it to.
        ErrorKind::ConnectionAborted => Failure::silent(0),
        _ => Failure::pipe(&error),
    }
}

struct Talk<'a> {
    side: Side,
    reader: BufReader<&'a PipeStream>,
}

impl<'a> Talk<'a> {
    fn new(side: Side, stream: &'a PipeStream) -> Talk<'a> {
        Talk {
            side,
            reader: BufReader::new(stream),
        }
    }

    fn say(&mut self, line: &str) -> failure::Result {
        // Told first: the answer may show before we come back from writing.
        tell(self.side, "says", line)?;
        let mut stream: &PipeStream = self.reader.get_ref();
        stream
            .write_all(format!("{line}\n").as_bytes())
            .map_err(|e| Failure::pipe(&e))
    }

    /// A line, clean: C# may put a byte order mark before its first, and ends lines with CR LF on Windows.
    fn hear(&mut self) -> failure::Result {
        let mut line = String::new();
        if self
            .reader
            .read_line(&mut line)
            .map_err(|e| Failure::pipe(&e))?
            == 0
        {
            // Whoever watches may be gone too, and then nobody has to be told.
            tell(self.side, "finds the other side gone", "")?;
            let name = self.reader.get_ref().peer_addr();
            let why = format!(
                "read from {name}: the other side closed the pipe before it had said everything"
            );
            return Err(Failure::new(failure::IO, why));
        }
        let line = line.trim_start_matches('\u{feff}').trim_end();
        tell(
            self.side,
            "hears",
            if line.is_empty() {
                "(an empty line)"
            } else {
                line
            },
        )
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_csharp_is_what_interop_runs() {
        let interop = concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/csharp");
        for (file, ours) in [
            ("Server.cs", super::SERVER_CS),
            ("Client.cs", super::CLIENT_CS),
        ] {
            // In the published package there is no such directory, and nothing to be equal to.
            if let Ok(theirs) = std::fs::read_to_string(format!("{interop}/{file}")) {
                assert!(ours == theirs, "copy interop/csharp/{file} to cli/csharp/");
            }
        }
    }
}
