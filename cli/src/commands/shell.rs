//! `npipe completions SHELL` and `npipe man`.

use std::io::{self, Write};

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::{self, Failure};
use crate::stdout::print;

const COMPLETIONS: &str = r"Examples:
  npipe completions bash > ~/.local/share/bash-completion/completions/npipe
  npipe completions zsh > ~/.zfunc/_npipe
  npipe completions fish > ~/.config/fish/completions/npipe.fish
  npipe completions powershell >> $PROFILE";

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS)]
pub struct Completions {
    shell: Shell,
}

const MAN: &str = r"Examples:
  npipe man | man -l -
  npipe man > ~/.local/share/man/man1/npipe.1";

/// Print the manual page
#[derive(Debug, Args)]
#[command(after_help = MAN)]
pub struct Man {}

fn visible(whole: &Command) -> impl Iterator<Item = &Command> {
    whole
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
}

impl Completions {
    pub fn run(self, whole: Command) -> failure::Result {
        // The generators show hidden commands too, and so the whole is made anew without them.
        let mut visible = Command::new("npipe")
            .version(env!("CARGO_PKG_VERSION"))
            .disable_help_subcommand(true)
            .args(whole.get_arguments().cloned())
            .subcommands(visible(&whole).cloned());
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut visible, "npipe", &mut script);
        print(&script)
    }
}

impl Man {
    /// One page for all: each command is a section of it.
    pub fn run(self, mut whole: Command) -> failure::Result {
        whole.build();
        let mut page = Vec::new();
        let mut render = || -> io::Result<()> {
            let main = clap_mangen::Man::new(whole.clone());
            main.render_title(&mut page)?;
            main.render_name_section(&mut page)?;
            main.render_synopsis_section(&mut page)?;
            main.render_options_section(&mut page)?;
            section(&mut page, "EXAMPLES", whole.get_after_help())?;
            for command in visible(&whole) {
                let heading = format!("npipe {}", command.get_name()).to_uppercase();
                writeln!(page, ".SH \"{heading}\"")?;
                if let Some(about) = command.get_about() {
                    writeln!(page, "{}.", roff(&about.to_string()))?;
                }
                let mut body = Vec::new();
                let man = clap_mangen::Man::new(command.clone());
                man.render_synopsis_section(&mut body)?;
                man.render_options_section(&mut body)?;
                let body = String::from_utf8_lossy(&body).replace(".SH ", ".SS ");
                page.extend_from_slice(body.as_bytes());
                verbatim(&mut page, command.get_after_help())?;
            }
            writeln!(page, ".SH \"EXIT STATUS\"\n.nf\n{}\n.fi", EXIT_STATUS)
        };
        render().map_err(|e| Failure::io("write the manual", &e))?;
        print(&page)
    }
}

const EXIT_STATUS: &str = "\
0  done
1  an I/O failure
2  wrong usage
3  no such pipe
4  timed out
5  not allowed, or not the expected server
6  the name is taken";

fn section(
    page: &mut Vec<u8>,
    heading: &str,
    text: Option<&clap::builder::StyledStr>,
) -> io::Result<()> {
    writeln!(page, ".SH {heading}")?;
    verbatim(page, text)
}

fn verbatim(page: &mut Vec<u8>, text: Option<&clap::builder::StyledStr>) -> io::Result<()> {
    let text = text.map(ToString::to_string).unwrap_or_default();
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
