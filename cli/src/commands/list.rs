//! `npipe list`: the pipes there are, by name, without opening any.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::Args;
use npipe::{PipeEntry, PipeState};
use serde::Serialize;

use crate::failure::{self, Failure};
use crate::say::{self, plain};
use crate::stdout::print;

const EXAMPLES: &str = r"Examples:
  npipe list
  npipe list docker
  npipe list --json | jq -r '.[].name'

On Unix these are the sockets where .NET puts a name, $TMPDIR/CoreFxPipe_* or
/tmp/CoreFxPipe_*; one whose server is gone is stale. Windows tells how many
instances there are, and how many there may be.

JSON, for each: name, path, state (live, stale, unknown), instances and
max_instances (null where there is no number, or no limit).";

/// List the pipes there are
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct List {
    /// Only names with this in them
    text: Option<OsString>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One pipe. The names are promised to stay.
#[derive(Debug, Serialize)]
struct Line<'a> {
    name: &'a str,
    path: String,
    state: &'static str,
    instances: Option<u32>,
    max_instances: Option<u32>,
}

impl List {
    pub fn run(self) -> failure::Result {
        let mut entries = npipe::list().map_err(|e| Failure::list(&e))?;
        if let Some(text) = &self.text {
            let text = text.to_string_lossy().to_lowercase();
            entries.retain(|entry| entry.name().to_lowercase().contains(&text));
        }
        let shown = if self.json {
            json(&entries)
        } else {
            table(&entries)
        };
        if entries.is_empty() {
            say::note("there are no such pipes");
        }
        print(shown)
    }
}

fn state(entry: &PipeEntry) -> &'static str {
    match entry.state() {
        PipeState::Live => "live",
        PipeState::Stale => "stale",
        PipeState::Unknown => "unknown",
    }
}

fn json(entries: &[PipeEntry]) -> String {
    let lines: Vec<_> = entries
        .iter()
        .map(|entry| Line {
            name: entry.name(),
            path: entry.path().display().to_string(),
            state: state(entry),
            instances: entry.instances(),
            max_instances: entry.max_instances(),
        })
        .collect();
    // Strings and numbers always have a form in JSON.
    let mut json = serde_json::to_string_pretty(&lines).unwrap_or_default();
    json.push('\n');
    json
}

fn table(entries: &[PipeEntry]) -> String {
    let names: Vec<_> = entries.iter().map(|entry| plain(entry.name())).collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let mut table = String::new();
    for (entry, name) in entries.iter().zip(names) {
        let _ = match (entry.instances(), entry.max_instances()) {
            (None, _) => writeln!(
                table,
                "{name:width$}  {:7}  {}",
                state(entry),
                plain(&entry.path().to_string_lossy())
            ),
            (Some(instances), None) => writeln!(table, "{name:width$}  {instances:>3}"),
            (Some(instances), Some(most)) => {
                writeln!(table, "{name:width$}  {instances:>3} of {most}")
            }
        };
    }
    table
}
