//! `npipe completions SHELL`, `npipe man` and `npipe help`: the command line in other forms.

use std::io::{self, Write};

use clap::{Args, Command};
use clap_complete::env::Shells;
use clap_mangen::Man as Page;

use crate::failure::{self, Failure};
use crate::manual;
use crate::stdout::{print, print_styled};

const COMPLETIONS: &str = r"Examples:
  npipe completions bash > ~/.local/share/bash-completion/completions/npipe
  npipe completions zsh > ~/.zfunc/_npipe
  npipe completions fish > ~/.config/fish/completions/npipe.fish
  npipe completions powershell >> $PROFILE

The shell asks npipe itself, which knows the names of existing pipes.";

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS)]
pub struct Completions {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"], hide_possible_values = true)]
    shell: String,
}

const MAN: &str = r"Examples:
  npipe man | man -l -
  npipe man relay | man -l -
  npipe man connect > ~/.local/share/man/man1/npipe-connect.1";

/// Print a page of the manual
#[derive(Debug, Args)]
#[command(after_help = MAN)]
pub struct Man {
    /// A command; without it, npipe as a whole
    command: Option<String>,
}

const HELP: &str = r"Examples:
  npipe help relay        the same as npipe relay --help; -h is shorter";

/// Print all there is to say of a command
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Help {
    /// A command; without it, npipe as a whole
    command: Option<String>,
}

fn visible(whole: &Command) -> impl Iterator<Item = &Command> {
    whole
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
}

/// The command of this name, or the whole.
fn find<'a>(whole: &'a Command, name: Option<&str>) -> failure::Result<&'a Command> {
    let Some(name) = name else {
        return Ok(whole);
    };
    visible(whole)
        .find(|command| command.get_name() == name)
        .ok_or_else(|| {
            Failure::usage(format!(
                "there is no command {name}; `npipe --help` shows all of them"
            ))
        })
}

impl Completions {
    pub fn run(self) -> failure::Result {
        let shells = Shells::builtins();
        let Some(shell) = shells.completer(&self.shell) else {
            return Err(Failure::usage(format!("there is no shell {}", self.shell)));
        };
        let mut script = Vec::new();
        shell
            .write_registration(VARIABLE, "npipe", "npipe", "npipe", &mut script)
            .map_err(|e| Failure::io("write completions", &e))?;
        print(&script)
    }
}

/// What makes npipe complete rather than run.
const VARIABLE: &str = "COMPLETE";

impl Help {
    pub fn run(self, mut whole: Command) -> failure::Result {
        whole.build();
        let mut command = find(&whole, self.command.as_deref())?.clone();
        print_styled(&command.render_long_help().ansi().to_string())
    }
}

impl Man {
    pub fn run(self, mut whole: Command) -> failure::Result {
        whole.build();
        let command = find(&whole, self.command.as_deref())?;
        let page = page(command, &whole).map_err(|e| Failure::io("write the manual", &e))?;
        print(&page)
    }
}

fn page(command: &Command, whole: &Command) -> io::Result<Vec<u8>> {
    let is_whole = command.get_name() == whole.get_name();
    let name = if is_whole {
        "npipe".to_owned()
    } else {
        format!("npipe-{}", command.get_name())
    };
    let (examples, notes) = examples(command);
    let mut page = Vec::new();
    // Its own page has sections of its own for what help says below.
    let short = command
        .clone()
        .name(name.clone())
        .version(env!("CARGO_PKG_VERSION"))
        .after_help("")
        .after_long_help("");
    let man = Page::new(short).title(&name).manual("npipe");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    paragraphs(&mut page, &notes)?;
    man.render_options_section(&mut page)?;
    if is_whole {
        writeln!(page, ".SH COMMANDS")?;
        for command in visible(whole) {
            let about = command.get_about().map(ToString::to_string);
            let line = roff(&about.unwrap_or_default());
            let name = roff(&format!("npipe-{}", command.get_name()));
            writeln!(page, ".TP\n\\fB{name}\\fR(1)\n{line}")?;
        }
    }
    for (heading, text) in manual::sections() {
        writeln!(page, ".SH \"{heading}\"")?;
        verbatim(&mut page, text)?;
    }
    writeln!(page, ".SH EXAMPLES")?;
    verbatim(&mut page, &examples)?;
    writeln!(page, ".SH \"SEE ALSO\"")?;
    let others = visible(whole)
        .map(|other| format!("npipe-{}", other.get_name()))
        .filter(|other| *other != name)
        .map(|other| format!("{}(1)", roff(&other)));
    let others: Vec<_> = (!is_whole)
        .then(|| "npipe(1)".to_owned())
        .into_iter()
        .chain(others)
        .chain(["socat(1)", "nc(1)", "unix(7)"].map(str::to_owned))
        .collect();
    writeln!(page, "{}", others.join(", "))?;
    Ok(page)
}

/// What help says below the options: the examples, and the rest.
fn examples(command: &Command) -> (String, String) {
    let after = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let is_example = |part: &&str| part.starts_with("Examples:");
    let (examples, notes): (Vec<_>, Vec<_>) = after.split("\n\n").partition(is_example);
    let examples = examples.join("\n").replacen("Examples:\n", "", 1);
    if examples.is_empty() {
        return (after, String::new());
    }
    (examples, notes.join("\n\n"))
}

fn paragraphs(page: &mut Vec<u8>, text: &str) -> io::Result<()> {
    for paragraph in text.split("\n\n").filter(|text| !text.is_empty()) {
        writeln!(page, ".PP")?;
        for line in paragraph.lines() {
            writeln!(page, "{}", roff(line))?;
        }
    }
    Ok(())
}

fn verbatim(page: &mut Vec<u8>, text: &str) -> io::Result<()> {
    writeln!(page, ".PP\n.nf")?;
    for line in text.lines() {
        writeln!(page, "{}", roff(line))?;
    }
    writeln!(page, ".fi")
}

/// A line in which nothing means anything to roff.
fn roff(line: &str) -> String {
    let line = line
        .replace('\\', r"\e")
        .replace('-', r"\-")
        .replace('\'', r"\(aq");
    if line.starts_with('.') {
        format!(r"\&{line}")
    } else {
        line
    }
}
