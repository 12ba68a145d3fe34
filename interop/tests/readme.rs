//! The newcomer's path: the programs that the READMEs show, copied as they stand, print what the READMEs say they print.
//!
//! The Rust is taken out of README.md by `build.rs`, the C# by `cargo xtask lab`, which compiles it as C# 5.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use npipe::PipeState;
use npipe_interop::{Dotnet, Peer, fragments, name, watchdog};

const READMES: [(&str, &str); 2] = [
    ("README.md", include_str!("../../README.md")),
    ("README.ja.md", include_str!("../../README.ja.md")),
];

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the programs of a README call their pipe. On Unix each run has a directory of its own for it; on Windows there is
/// only one, so runs take turns.
struct Place {
    dir: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Place {
    fn new() -> Place {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = std::env::temp_dir().join(name("readme"));
        fs::create_dir(&dir).unwrap();
        let place = Place { dir, _turn: turn };
        assert!(!place.is_served(), "somebody else serves `mypipe` here");
        place
    }

    fn rust(&self, program: impl AsRef<OsStr>) -> Peer {
        Peer::start(Command::new(program).env("TMPDIR", &self.dir))
    }

    fn is_served(&self) -> bool {
        let pipe = if cfg!(unix) {
            self.dir.join("CoreFxPipe_mypipe")
        } else {
            "mypipe".into()
        };
        matches!(npipe::state(pipe), Ok(PipeState::Live))
    }

    fn wait_until_it_is_served(&self) {
        let until = Instant::now() + PATIENCE;
        while !self.is_served() {
            assert!(Instant::now() < until, "nobody serves `mypipe`");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs a server and then its client, and checks what both print.
    fn converse(
        &self,
        server: impl Fn(&Place) -> Peer,
        client: impl Fn(&Place) -> Peer,
        [by_server, by_client]: [&[String]; 2],
    ) {
        let server = server(self);
        self.wait_until_it_is_served();
        assert_eq!(self.meets(client), by_client, "the client");
        assert_eq!(server.finish(), by_server, "the server");
    }

    /// What a client prints. On Unix a server has its name a moment before it listens, and a client that does not wait finds
    /// nobody then: as its user would, this starts it once more.
    fn meets(&self, client: impl Fn(&Place) -> Peer) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let (status, output, remarks) = client(self).end();
            if status.success() {
                return output;
            }
            let too_early = remarks.concat().contains("NotFound") && Instant::now() < until;
            assert!(too_early, "{status}: {output:#?} {remarks:#?}");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn rust_server(place: &Place) -> Peer {
    place.rust(env!("CARGO_BIN_EXE_readme-server"))
}

fn rust_client(place: &Place) -> Peer {
    place.rust(env!("CARGO_BIN_EXE_readme-client"))
}

fn waiting_rust_client(place: &Place) -> Peer {
    place.rust(env!("CARGO_BIN_EXE_readme-waiting-client"))
}

/// What a README says that the Rust and the C# of one section print.
struct Shown {
    rust: Vec<String>,
    csharp: Vec<String>,
}

/// The same in both languages: of the section whose C# has `mark` in it.
fn shown(mark: &str) -> Shown {
    let [english, japanese] = READMES.map(|(file, readme)| {
        let section = readme
            .split("\n#")
            .find(|section| section.contains(mark))
            .unwrap_or_else(|| panic!("{file} has no section with {mark}"));
        ["cargo run", "csc.exe"].map(|command| printed(section, command))
    });
    assert_eq!(english, japanese, "the READMEs show different output");
    let [rust, csharp] = english;
    Shown { rust, csharp }
}

/// The output in the block of a section that shows this command.
fn printed(section: &str, command: &str) -> Vec<String> {
    let block = fragments::the(section, "console", command)
        .unwrap_or_else(|| panic!("no output, or several, of {command}"));
    let output: Vec<String> = block
        .lines()
        .filter(|line| !line.starts_with('>'))
        .map(str::to_owned)
        .collect();
    assert!(!output.is_empty(), "{command} prints nothing");
    output
}

const CSHARP_CLIENT: &str = "NamedPipeClientStream(\"mypipe\")";
const CSHARP_SERVER: &str = "NamedPipeServerStream(\"mypipe\")";

/// Line ends are the checkout's matter.
fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn the_csharp_that_is_run_is_the_csharp_of_both_readmes() {
    for (program, mark) in [("Server", CSHARP_SERVER), ("Client", CSHARP_CLIENT)] {
        for (file, readme) in READMES {
            let shown = fragments::the(readme, "csharp", mark)
                .unwrap_or_else(|| panic!("{file} has not exactly one program with {mark}"));
            assert_eq!(
                unix_lines(shown),
                unix_lines(&Dotnet::first().source_of_the_readme(program)),
                "{file} has changed since its C# was compiled: `cargo xtask lab` does so"
            );
        }
    }
}

#[test]
fn the_rust_that_is_run_is_the_rust_of_both_readmes() {
    let [english, japanese] = READMES.map(|(_, readme)| fragments::of(readme, "rust,no_run"));
    assert_eq!(english, japanese);
}

#[test]
fn rust_serves_rust() {
    let _watchdog = watchdog();
    let server = shown(CSHARP_SERVER).csharp;
    let client = shown(CSHARP_CLIENT).csharp;
    // Who meets Rust prints what the C# of the README prints, which meets Rust too.
    Place::new().converse(rust_server, rust_client, [&server, &client]);
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn rust_serves_csharp() {
    let _watchdog = watchdog();
    let shown = shown(CSHARP_CLIENT);
    for dotnet in Dotnet::all() {
        let client = |place: &Place| dotnet.of_the_readme("Client", &place.dir);
        Place::new().converse(rust_server, client, [&shown.rust, &shown.csharp]);
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn csharp_serves_rust() {
    let _watchdog = watchdog();
    let shown = shown(CSHARP_SERVER);
    for dotnet in Dotnet::all() {
        let server = |place: &Place| dotnet.of_the_readme("Server", &place.dir);
        Place::new().converse(server, rust_client, [&shown.csharp, &shown.rust]);
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn csharp_serves_csharp() {
    let _watchdog = watchdog();
    let server = shown(CSHARP_CLIENT).rust;
    let client = shown(CSHARP_SERVER).rust;
    for dotnet in Dotnet::all() {
        Place::new().converse(
            |place| dotnet.of_the_readme("Server", &place.dir),
            |place| dotnet.of_the_readme("Client", &place.dir),
            [&server, &client],
        );
    }
}

#[test]
fn the_short_client_fails_where_no_server_is() {
    let _watchdog = watchdog();
    let (status, output, remarks) = rust_client(&Place::new()).end();
    assert!(!status.success() && output.is_empty(), "{output:?}");
    assert!(remarks.concat().contains("NotFound"), "{remarks:?}");
}

#[test]
fn the_client_that_waits_may_come_first() {
    let _watchdog = watchdog();
    let place = Place::new();
    let client = waiting_rust_client(&place);
    let server = rust_server(&place);
    assert_eq!(client.finish(), shown(CSHARP_CLIENT).csharp);
    assert_eq!(server.finish(), shown(CSHARP_SERVER).csharp);
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn the_client_that_waits_may_come_before_csharp() {
    let _watchdog = watchdog();
    let place = Place::new();
    let client = waiting_rust_client(&place);
    let server = Dotnet::first().of_the_readme("Server", &place.dir);
    let shown = shown(CSHARP_SERVER);
    assert_eq!(client.finish(), shown.rust);
    assert_eq!(server.finish(), shown.csharp);
}

/// The compile line itself, with the compiler that it names.
#[test]
#[cfg(windows)]
#[ignore = "real Windows only: Wine has no csc.exe"]
fn real_windows_csc_compiles_what_the_readme_shows() {
    let _watchdog = watchdog();
    for (file, readme) in READMES {
        let place = Place::new();
        for (program, mark) in [("Server", CSHARP_SERVER), ("Client", CSHARP_CLIENT)] {
            let source = place.dir.join(format!("{program}.cs"));
            fs::write(source, fragments::the(readme, "csharp", mark).unwrap()).unwrap();
            let line = readme
                .lines()
                .find(|line| line.starts_with("> ") && line.ends_with(&format!("{program}.cs")))
                .unwrap_or_else(|| panic!("{file} does not say how to compile {program}.cs"));
            let mut words = line.split(' ').skip(1);
            let status = Command::new(words.next().unwrap())
                .args(words)
                .current_dir(&place.dir)
                .status();
            assert!(status.unwrap().success(), "{line}");
        }
        let run = |program: &'static str| move |place: &Place| place.rust(place.dir.join(program));
        let (serving, connecting) = (shown(CSHARP_SERVER), shown(CSHARP_CLIENT));
        place.converse(
            run("Server.exe"),
            rust_client,
            [&serving.csharp, &serving.rust],
        );
        place.converse(
            rust_server,
            run("Client.exe"),
            [&connecting.rust, &connecting.csharp],
        );
    }
}
