//! `cargo xtask demo`: Rust and C# talk over one pipe, in every pairing, here or under Wine.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use crate::dotnet::{self, Dotnet};
use crate::lab::Lab;
use crate::place::Place;
use crate::process::{self, Running};
use crate::toolchain::{Toolchain, cargo};
use crate::ui;
use crate::wine;

/// One conversation takes a second or two; Wine's first start of .NET takes several.
const LIMIT: Duration = Duration::from_secs(60);
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);

/// What the hidden second half of `demo --windows` is told by the first.
const INSIDE: &str = "NPIPE_DEMO_INSIDE_WINE";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Rust,
    CSharp,
}

impl Language {
    fn name(self) -> &'static str {
        match self {
            Language::Rust => "Rust",
            Language::CSharp => "C#",
        }
    }
}

/// What starts the programs of the conversation.
struct Stage {
    /// The directory of the examples, built.
    examples: PathBuf,
    dotnet: Option<Dotnet>,
    windows: bool,
}

pub fn run(place: &Place) -> Result<ExitCode> {
    let dotnet = match Lab::open(place)?.dotnet() {
        Ok(found) => found.into_iter().next(),
        Err(error) if place.ci => return Err(error.context("no .NET for the demo")),
        Err(error) => {
            ui::note(&format!("no .NET available: {error:#}"));
            ui::note("so this shows Rust with Rust alone");
            None
        }
    };
    ui::say("building the Rust examples");
    let status = process::run_shown(
        cargo()
            .args(["build", "--quiet", "--package", "npipe", "--examples"])
            .env("CARGO_TARGET_DIR", &place.target)
            .current_dir(&place.root),
        BUILD_LIMIT,
    )?;
    ensure!(status.success(), "the examples do not build");
    conversations(&Stage {
        examples: place.target.join("debug/examples"),
        dotnet,
        windows: false,
    })
}

pub fn run_windows(place: &Place) -> Result<ExitCode> {
    let (toolchain, dotnet) = {
        let lab = Lab::open(place)?;
        let toolchain = lab.windows().context("the demo on Windows needs Wine")?;
        let dotnet = lab
            .dotnet_windows()
            .context("the demo on Windows needs .NET")?;
        (toolchain, dotnet.into_iter().next())
    };
    if std::env::var_os(INSIDE).is_some() {
        return conversations(&Stage {
            examples: toolchain.debug_dir().join("examples"),
            dotnet,
            windows: true,
        });
    }
    build_windows(place, &toolchain)?;
    ui::say("starting Wine");
    let mut inside = Command::new(std::env::current_exe()?);
    inside
        .args(["demo", "--windows"])
        .env(INSIDE, "1")
        .current_dir(&place.root);
    let status = process::run_shown(&mut wine::session(place, &inside), 10 * LIMIT)?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn build_windows(place: &Place, toolchain: &Toolchain) -> Result<()> {
    ui::say(&format!(
        "building the Rust examples for {}",
        toolchain.describe()
    ));
    let status = process::run_shown(
        toolchain
            .cargo(place, "build")
            .args(["--package", "npipe", "--examples"]),
        BUILD_LIMIT,
    )?;
    ensure!(status.success(), "the examples do not build for Windows");
    Ok(())
}

/// All pairings that there are; a failure of one does not hide the others.
fn conversations(stage: &Stage) -> Result<ExitCode> {
    use Language::{CSharp, Rust};
    let mut pairings = vec![
        (CSharp, Rust),
        (Rust, CSharp),
        (Rust, Rust),
        (CSharp, CSharp),
    ];
    if stage.dotnet.is_none() {
        pairings = vec![(Rust, Rust)];
    }
    let system = if stage.windows {
        " on Windows (Wine)"
    } else {
        ""
    };
    let mut failed = 0;
    for &(server, client) in &pairings {
        println!();
        ui::say(&heading(server, client, system));
        if let Err(error) = conversation(stage, server, client) {
            ui::fail(&format!("{error:#}"));
            failed += 1;
        }
    }
    println!();
    if let Some(dotnet) = &stage.dotnet {
        ui::say(&format!("C# ran on {}", dotnet.name));
    }
    if failed > 0 {
        bail!("{failed} of {} conversations went wrong", pairings.len());
    }
    ui::say(&verdict(pairings.len()));
    Ok(ExitCode::SUCCESS)
}

fn heading(server: Language, client: Language, system: &str) -> String {
    format!("{} server, {} client{system}", server.name(), client.name())
}

/// What one of the two programs printed.
fn told(language: Language, who: &str, line: &str) -> String {
    format!("    {:<11} | {line}", format!("{} {who}", language.name()))
}

fn verdict(conversations: usize) -> String {
    let count = match conversations {
        1 => "1 conversation".to_owned(),
        several => format!("{several} conversations"),
    };
    format!("{count}, word for word right")
}

/// What one of the two programs did.
enum Event {
    /// It printed a line: for the reader, on standard output.
    Said(&'static str, String),
    /// On standard error.
    Remarked(&'static str, String),
    /// Both of its outputs have ended.
    Ended,
}

fn conversation(stage: &Stage, server: Language, client: Language) -> Result<()> {
    let pipe = random_name();
    let until = Instant::now() + LIMIT;
    let (sender, events) = mpsc::channel();
    let mut server_program = start(stage, "server", server, &pipe, &sender)?;
    let mut client_program = None;
    let mut heard_by_server = Vec::new();
    let mut heard_by_client = Vec::new();
    let mut ended = 0;
    while ended < 4 {
        match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Event::Said(who, line)) => {
                let language = if who == "server" { server } else { client };
                println!("{}", told(language, who, &line));
                if who == "server" {
                    heard_by_server.push(line);
                } else {
                    heard_by_client.push(line);
                }
            }
            Ok(Event::Remarked(who, line)) => {
                println!("    {:<11} |   ({line})", format!("  {who}"));
                // The server says that it waits. A client waits 5 s for its server by itself, which is less than a
                // busy machine may take to start one.
                if who == "server"
                    && client_program.is_none()
                    && line.starts_with("waiting for a client")
                {
                    client_program = Some(start(stage, "client", client, &pipe, &sender)?);
                }
            }
            Ok(Event::Ended) => {
                ended += 1;
                if client_program.is_none() && ended == 2 {
                    bail!("the server ended before a client could come");
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                bail!("no end after {LIMIT:?}: both programs were ended")
            }
        }
    }
    let mut client_program = client_program.context("the server never waited for a client")?;
    for (who, program) in [
        ("server", &mut server_program),
        ("client", &mut client_program),
    ] {
        let status = loop {
            if let Some(status) = program.poll()? {
                break status;
            }
            thread::sleep(Duration::from_millis(10));
        };
        ensure!(status.success(), "the {who} ended with {status}");
    }
    let (from_client, from_server) = (client.name(), server.name());
    let expected = [
        format!("Hello from {from_client}"),
        format!("{from_client} is done"),
    ];
    ensure!(
        heard_by_server == expected,
        "the server printed {heard_by_server:?} instead of {expected:?}"
    );
    let expected = [format!("Hello from {from_server}")];
    ensure!(
        heard_by_client == expected,
        "the client printed {heard_by_client:?} instead of {expected:?}"
    );
    Ok(())
}

fn start(
    stage: &Stage,
    who: &'static str,
    language: Language,
    pipe: &str,
    events: &Sender<Event>,
) -> Result<Running> {
    let windows = stage.windows;
    let mut command = match (language, &stage.dotnet) {
        (Language::Rust, _) => {
            let suffix = if windows {
                ".exe"
            } else {
                std::env::consts::EXE_SUFFIX
            };
            let program = stage.examples.join(format!("{who}{suffix}"));
            if windows {
                let mut command = Command::new("npipe-wine");
                command.arg(program);
                command
            } else {
                Command::new(program)
            }
        }
        (Language::CSharp, Some(found)) => {
            let program = if who == "server" { "Server" } else { "Client" };
            let mut command = found.program(program);
            if windows {
                let mut wine = Command::new("npipe-wine");
                wine.arg(command.get_program()).args(command.get_args());
                dotnet::settings(&mut wine);
                command = wine;
            }
            command
        }
        (Language::CSharp, None) => bail!("there is no .NET"),
    };
    command
        .arg(pipe)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = Running::start(&mut command, LIMIT)?;
    let (stdout, stderr) = running.take_outputs();
    follow(stdout, events, move |line| Event::Said(who, line));
    follow(stderr, events, move |line| Event::Remarked(who, line));
    Ok(running)
}

fn follow(
    output: Option<impl Read + Send + 'static>,
    events: &Sender<Event>,
    event: impl Fn(String) -> Event + Send + 'static,
) {
    let Some(output) = output else { return };
    let events = events.clone();
    thread::spawn(move || {
        // Bytes that are no UTF-8 end it early, and are then seen as a line that is missing.
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = events.send(event(line.trim_end_matches('\r').to_owned()));
        }
        let _ = events.send(Event::Ended);
    });
}

/// A name that no other run has.
fn random_name() -> String {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    format!("npipe-demo-{}-{nanos:x}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_shows_what_the_demo_prints() {
        let csharp = Language::CSharp;
        let talk = [
            format!("==> {}", heading(csharp, csharp, "")),
            told(csharp, "server", "Hello from C#"),
            told(csharp, "client", "Hello from C#"),
            told(csharp, "server", "C# is done"),
        ];
        for file in ["README.md", "README.ja.md"] {
            let root = Place::find().unwrap().root;
            let readme = std::fs::read_to_string(root.join(file)).unwrap();
            let readme = readme.replace("\r\n", "\n");
            assert!(readme.contains(&talk.join("\n")), "{file}: {talk:#?}");
            assert!(readme.contains(&format!("==> {}\n", verdict(4))), "{file}");
        }
    }
}
