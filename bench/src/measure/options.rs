//! What the harness is told on its command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::place::Placing;
use super::rows::{ROWS, Row};

pub const USAGE: &str = "\
npipe-bench measure [OPTION...] [ROW...]
  --list                 the rows that there are
  --rounds N             how often every subject has its turn (25)
  --block MS             how long a turn is to take (20)
  --quick                few and short turns, to see that it works
  --place one|two|free   both processes on one core, each on its own, or wherever (one and two, or free for storms)
  --real-time            on two cores by `chrt -r`: on a busy machine a core is else only given at the next tick
  --only SUBJECT,...     no other subjects than these, and the floor
  --peer NAME=WORD|...   a peer in another language: its command
  --json FILE, --svg FILE
  --date DATE, --command TEXT, --system TEXT   said in what is written";

/// A program in another language, which is both halves of a subject.
#[derive(Clone, Debug)]
pub struct Foreign {
    pub name: String,
    pub command: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub list: bool,
    pub rounds: usize,
    pub block: Duration,
    pub quick: bool,
    /// Two cores at real-time priority.
    pub real_time: bool,
    pub places: Vec<Placing>,
    pub only: Option<Vec<String>>,
    pub peers: Vec<Foreign>,
    pub json: Option<PathBuf>,
    pub svg: Option<PathBuf>,
    pub date: Option<String>,
    pub command: Option<String>,
    /// What the machine is, where it is not its kernel.
    pub system: Option<String>,
    wanted: Vec<String>,
}

impl Options {
    pub fn parse(arguments: &[&str]) -> Result<Options> {
        let mut options = Options {
            list: false,
            rounds: 25,
            block: Duration::from_millis(20),
            quick: false,
            real_time: false,
            places: vec![Placing::One, Placing::Two],
            only: None,
            peers: Vec::new(),
            json: None,
            svg: None,
            date: None,
            command: None,
            system: None,
            wanted: Vec::new(),
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .copied()
                    .with_context(|| format!("{word} wants a value\n\n{USAGE}"))
            };
            match *word {
                "--list" => options.list = true,
                "--quick" => {
                    options.quick = true;
                    options.rounds = 3;
                    options.block = Duration::from_millis(2);
                }
                "--real-time" => options.real_time = true,
                "--rounds" => options.rounds = value()?.parse().context("--rounds N")?,
                "--block" => {
                    options.block = Duration::from_millis(value()?.parse().context("--block MS")?);
                }
                "--place" => {
                    options.places = value()?
                        .split(',')
                        .map(Placing::parse)
                        .collect::<Result<_>>()?;
                }
                "--only" => {
                    options.only = Some(value()?.split(',').map(str::to_owned).collect());
                }
                "--peer" => {
                    let (name, command) = value()?
                        .split_once('=')
                        .context("--peer NAME=WORD|WORD...")?;
                    options.peers.push(Foreign {
                        name: name.to_owned(),
                        command: command.split('|').map(str::to_owned).collect(),
                    });
                }
                "--json" => options.json = Some(value()?.into()),
                "--svg" => options.svg = Some(value()?.into()),
                "--date" => options.date = Some(value()?.to_owned()),
                "--command" => options.command = Some(value()?.to_owned()),
                "--system" => options.system = Some(value()?.to_owned()),
                row if ROWS.iter().any(|known| known.name == row) => {
                    options.wanted.push(row.to_owned());
                }
                other => {
                    let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
                    bail!(
                        "{other} is neither an option nor a row; the rows are {}\n\n{USAGE}",
                        names.join(", ")
                    );
                }
            }
        }
        Ok(options)
    }

    /// The rows that were asked for, all of them if none was.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter()
            .filter(|row| self.wanted.is_empty() || self.wanted.iter().any(|name| name == row.name))
    }
}
