//! `npipe demo`: a server and a client in two processes, what they say line by line, and C# to put in place of either.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command};

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use npipe::{ConnectOptions, ListenOptions, PipeName, PipeStream};

use crate::failure::{self, Failure};
use crate::signals::Guarded;

/// The same text as `interop/csharp/`, where it is run; here so that it is in the package.
const SERVER_CS: &str = include_str!("../../csharp/Server.cs");
const CLIENT_CS: &str = include_str!("../../csharp/Client.cs");

/// The name in the C# programs.
const MYPIPE: &str = "mypipe";

const EXAMPLES: &str = r"Examples:
  npipe demo                                 two processes of Rust
  npipe demo --csharp server > Server.cs     C# for one side;
  npipe demo --as client                     and Rust for the other";

/// Show two processes talk, and print C# for either side
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Demo {
    /// The pipe [default: one of its own; mypipe with --as]
    name: Option<String>,

    /// Be the server or the client alone, and wait for the other
    #[arg(
        long = "as",
        value_name = "SIDE",
        conflicts_with = "csharp",
        hide_possible_values = true
    )]
    side: Option<Side>,

    /// Print C# for the server or the client
    #[arg(
        long,
        value_name = "SIDE",
        conflicts_with = "name",
        hide_possible_values = true
    )]
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
            return print(source);
        }
        match self.side {
            Some(side) => {
                let name = self.name.as_deref().unwrap_or(MYPIPE);
                match side {
                    Side::Server => serve(name),
                    Side::Client => visit(name),
                }
            }
            None => {
                let own = || format!("npipe-demo-{}", std::process::id());
                show(&self.name.unwrap_or_else(own))
            }
        }
    }
}

fn print(text: &str) -> failure::Result {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::stdout)
}

/// Both sides. They write to our own stdout, so that the order in which things happen is the order in which they show.
fn show(name: &str) -> failure::Result {
    let address = PipeName::new(name).map_err(|e| Failure::pipe(&e))?;
    print(&format!(
        "A server and a client, two processes, on the pipe {address}\n\n"
    ))?;
    let mut server = Half::start(Side::Server, name)?;
    let mut client = Half::start(Side::Client, name)?;
    for half in [&mut client, &mut server] {
        half.wait()?;
    }
    print(
        "\nTo put C# in place of one of them:\n\
         \n  npipe demo --csharp server > Server.cs\
         \n  npipe demo --as client\n\
         \nor --csharp client and --as server. Its first lines say how to compile it.\n",
    )
}

/// One side as a process. Dropped, it is ended.
struct Half(Child);

impl Half {
    fn start(side: Side, name: &str) -> failure::Result<Half> {
        let program =
            std::env::current_exe().map_err(|e| Failure::io("find this program's own file", &e))?;
        Command::new(program)
            .args(["demo", "--as", side.word(), name])
            .spawn()
            .map(Half)
            .map_err(|e| Failure::io("start the other process", &e))
    }

    fn wait(&mut self) -> failure::Result {
        let status = self
            .0
            .wait()
            .map_err(|e| Failure::io("wait for the other process", &e))?;
        if status.success() {
            return Ok(());
        }
        // It has said why.
        Err(Failure::silent(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(failure::IO),
        ))
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(line.as_bytes()).map_err(Failure::stdout)?;
    stdout.flush().map_err(Failure::stdout)
}

fn serve(name: &str) -> failure::Result {
    let bind = || ListenOptions::new().bind(name);
    let listener = Guarded::bind(bind).map_err(|e| Failure::pipe(&e))?;
    tell(Side::Server, "waits for a client", "")?;
    let stream = listener.accept().map_err(|e| Failure::pipe(&e))?;
    let mut talk = Talk::new(Side::Server, &stream);
    talk.hear()?;
    talk.say("Hello from Rust")?;
    talk.hear()
}

fn visit(name: &str) -> failure::Result {
    let connect = ConnectOptions::new().wait_for_server(true).no_timeout();
    tell(Side::Client, "looks for a server", "")?;
    let stream = connect.connect(name).map_err(|e| Failure::pipe(&e))?;
    let mut talk = Talk::new(Side::Client, &stream);
    talk.say("Hello from Rust")?;
    talk.hear()?;
    talk.say("Rust is done")
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
