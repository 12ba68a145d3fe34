//! The commands that the READMEs show print what the READMEs show.

use std::fs;
use std::path::Path;

use npipe::PipeName;

use crate::harness::*;

/// The name that the READMEs use, in place of which a run has one of its own.
const MYPIPE: &str = "mypipe";

/// A README, unless this is the published package, which has none.
fn readme(file: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = fs::read_to_string(path).ok()?;
    Some(text.replace("\r\n", "\n"))
}

/// An `npipe` that a README shows, and what it shows as its output.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    words: Vec<String>,
    output: Vec<String>,
}

impl Shown {
    fn is(&self, subcommand: &str) -> bool {
        self.words[0] == subcommand
    }

    /// The words with another pipe.
    fn words<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        let other = |word: &'a String| if word == MYPIPE { name } else { word };
        self.words.iter().map(other).collect()
    }

    /// The lines for another pipe, as this system spells it. The README says that its own are Linux's.
    fn output(&self, name: &str) -> Vec<String> {
        let address = PipeName::new(name).unwrap().to_string();
        self.output
            .iter()
            .map(|line| line.replace("/tmp/CoreFxPipe_mypipe", &address))
            .collect()
    }
}

/// Every `npipe` in the console blocks of a README, in order.
fn shown(readme: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for block in readme.split("\n```").skip(1).step_by(2) {
        let mut ours = false;
        for line in block.strip_prefix("console\n").unwrap_or("").lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                let command = command.split(" #").next().unwrap_or_default();
                ours = command.starts_with("npipe ");
                if ours {
                    all.push(Shown {
                        words: words(command),
                        output: Vec::new(),
                    });
                }
            } else if let Some(last) = all.last_mut().filter(|_| ours) {
                last.output.push(line.to_owned());
            }
        }
    }
    all
}

/// Takes a command line apart as a shell does, as far as the READMEs need it: spaces, and quotes around all of a word.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in command.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words.remove(0);
    words
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn only(lines: &[String], which: impl Fn(&str) -> bool) -> Vec<&String> {
    lines.iter().filter(|line| which(line)).collect()
}

#[test]
fn the_commands_of_the_readme_print_what_it_shows() {
    let _watchdog = watchdog();
    let Some(text) = readme("README.md") else {
        return;
    };
    let all = shown(&text);
    let with_output = |subcommand: &str| {
        all.iter()
            .find(|shown| shown.is(subcommand) && !shown.output.is_empty())
            .unwrap_or_else(|| panic!("no output of `npipe {subcommand}` in {all:#?}"))
    };

    let echo = name("readme-echo");
    let listen = with_output("listen");
    let (server, address) = serve(&listen.words(&echo));
    let said = format!("npipe: listening on {address}");
    assert_eq!([said], listen.output(&echo).as_slice());
    let ask = with_output("ask");
    let ended = run(&ask.words(&echo)).done();
    assert_eq!(lines(ended.text()), ask.output(&echo));
    assert_eq!(ended.stderr, "");
    drop(server);

    let own = name("readme-demo");
    let demo = with_output("demo");
    let ended = run(&demo.words(&own)).done();
    assert_eq!(ended.stderr, "");
    let (printed, expected) = (lines(ended.text()), demo.output(&own));
    // Two processes write side by side: what each says has an order, and what both say has only in part.
    for who in ["server | ", "client | "] {
        let said = |line: &str| line.starts_with(who);
        assert_eq!(only(&printed, said), only(&expected, said));
    }
    let around = |line: &str| !line.contains(" | ");
    assert_eq!(only(&printed, around), only(&expected, around));
}

#[test]
fn every_command_of_the_readme_is_one() {
    let _watchdog = watchdog();
    let Some(text) = readme("README.md") else {
        return;
    };
    let all = shown(&text);
    assert!(all.len() >= 8, "{all:#?}");
    for shown in &all {
        // Help is printed where the words before it are right, and nothing is opened.
        let mut words = shown.words(MYPIPE);
        words.push("--help");
        run(&words).done();
    }
}

#[test]
fn both_readmes_show_the_same_commands_and_output() {
    let (Some(english), Some(japanese)) = (readme("README.md"), readme("README.ja.md")) else {
        return;
    };
    assert_eq!(shown(&english), shown(&japanese));
}
