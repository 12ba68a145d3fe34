//! `npipe list`: the existing pipes, by name, and who serves each, without opening any.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use npipe::{ListenOptions, PipeState};
use serde::Serialize;

use crate::failure::{self, Failure};
use crate::look::{self, Changes, User};
use crate::say::{self, plain};
use crate::stdout::print;

const EXAMPLES: &str = r"Examples:
  npipe list
  npipe list docker
  npipe list --json | jq -r '.[].name'
  npipe list --watch                     a line for each that comes or goes
  npipe list --prune                     remove sockets whose server is gone

On Unix these are the sockets where .NET puts a name, $TMPDIR/CoreFxPipe_* or
/tmp/CoreFxPipe_*; one whose server is gone is stale. Linux tells who serves
each, of the processes that you may look at. Windows tells how many instances
there are, and how many there may be.

JSON, for each: name, path, state (live, stale, unknown), instances and
max_instances (null where there is no number, or no limit), owner {uid, name},
server_pid, server_program, server_user {uid, name}. With --watch a line each,
with event (there, come, changed, gone) before these.";

/// List existing pipes
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct List {
    /// Only names with this in them
    text: Option<OsString>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Go on, and print what changes
    #[arg(long, conflicts_with = "prune")]
    watch: bool,

    /// Remove those of yours whose server is gone
    #[arg(long)]
    prune: bool,
}

/// One pipe. The names are promised to stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Row {
    name: String,
    #[serde(serialize_with = "text")]
    path: PathBuf,
    state: &'static str,
    instances: Option<u32>,
    max_instances: Option<u32>,
    owner: Option<User>,
    server_pid: Option<u32>,
    server_program: Option<String>,
    server_user: Option<User>,
}

/// What has become of one.
#[derive(Debug, Serialize)]
struct Change<'a> {
    event: &'static str,
    #[serde(flatten)]
    row: &'a Row,
}

/// A path need not be Unicode, and JSON must.
fn text<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

impl List {
    pub fn run(self) -> failure::Result {
        if self.prune {
            return self.prune();
        }
        let rows = self.rows()?;
        if self.watch {
            return self.watch(rows);
        }
        if rows.is_empty() {
            say::note("there are no such pipes");
        }
        print(self.shown(&rows))
    }

    fn shown(&self, rows: &[Row]) -> String {
        if !self.json {
            return table(rows);
        }
        // Strings and numbers always have a form in JSON.
        let mut json = serde_json::to_string_pretty(&rows).unwrap_or_default();
        json.push('\n');
        json
    }

    fn rows(&self) -> failure::Result<Vec<Row>> {
        let mut entries = npipe::list().map_err(|e| Failure::list(&e))?;
        if let Some(text) = &self.text {
            let text = text.to_string_lossy().to_lowercase();
            entries.retain(|entry| entry.name().to_lowercase().contains(&text));
        }
        let paths: Vec<_> = entries.iter().map(|entry| entry.path()).collect();
        let servers = look::servers(&paths);
        let row = |entry: &npipe::PipeEntry| {
            let server = servers.get(entry.path());
            Row {
                name: entry.name().to_owned(),
                path: entry.path().to_owned(),
                state: match entry.state() {
                    PipeState::Live => "live",
                    PipeState::Stale => "stale",
                    PipeState::Unknown => "unknown",
                },
                instances: entry.instances(),
                max_instances: entry.max_instances(),
                owner: look::owner(entry.path()),
                server_pid: server.map(|server| server.process.id),
                server_program: server.and_then(|server| server.process.program.clone()),
                server_user: server.and_then(|server| server.user.clone()),
            }
        };
        Ok(entries.iter().map(row).collect())
    }

    /// For ever, or until nobody reads it any more.
    fn watch(&self, mut rows: Vec<Row>) -> failure::Result {
        let place = npipe::PipeName::new("x").map_err(|e| Failure::pipe(&e))?;
        let directory = place.os_path().parent().unwrap_or(Path::new("/"));
        let changes = Changes::watch(directory);
        for row in &rows {
            self.tell("there", row)?;
        }
        loop {
            // Once more at the beginning: something may have come before it was watched.
            let now = self.rows()?;
            let was = |row: &Row| rows.iter().find(|other| other.path == row.path);
            for row in &now {
                match was(row) {
                    None => self.tell("come", row)?,
                    Some(before) if before != row => self.tell("changed", row)?,
                    Some(_) => {}
                }
            }
            for row in &rows {
                if !now.iter().any(|other| other.path == row.path) {
                    self.tell("gone", row)?;
                }
            }
            rows = now;
            changes.wait();
        }
    }

    fn tell(&self, event: &'static str, row: &Row) -> failure::Result {
        if self.json {
            let json = serde_json::to_string(&Change { event, row }).unwrap_or_default();
            return print(format!("{json}\n"));
        }
        print(format!("{event:<8}{}", table(std::slice::from_ref(row))))
    }

    /// Prints those that it removes. The library knows how to take a dead socket's place, and nobody else's; what it has
    /// taken it removes when it is closed.
    fn prune(&self) -> failure::Result {
        if cfg!(windows) {
            return Err(Failure::usage(
                "list --prune: Windows takes a pipe away with its server, so there is nothing to remove",
            ));
        }
        let mut rows = self.rows()?;
        let mine = look::current_user();
        rows.retain(|row| row.state == "stale" && row.owner == mine);
        let mut failed = None;
        rows.retain(|row| match ListenOptions::new().bind(&row.path).map(drop) {
            Ok(()) => true,
            Err(error) => {
                let failure = Failure::pipe(&error);
                say::error(failure.line());
                failed = Some(failure.code);
                false
            }
        });
        if rows.is_empty() {
            say::note("nothing was removed");
        }
        print(self.shown(&rows))?;
        failed.map_or(Ok(()), |code| Err(Failure::silent(code)))
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = String::new();
    let width = |of: fn(&Row) -> String| {
        let widths = rows.iter().map(|row| of(row).chars().count());
        widths.max().unwrap_or(0)
    };
    let name = |row: &Row| plain(&row.name);
    let (names, servers) = (width(name), width(server));
    for row in rows {
        let _ = match (row.instances, row.max_instances) {
            (None, _) => writeln!(
                table,
                "{:names$}  {:7}  {:servers$}{}{}",
                name(row),
                row.state,
                server(row),
                if servers > 0 { "  " } else { "" },
                plain(&row.path.to_string_lossy())
            ),
            (Some(instances), None) => writeln!(table, "{:names$}  {instances:>3}", name(row)),
            (Some(instances), Some(most)) => {
                writeln!(table, "{:names$}  {instances:>3} of {most}", name(row))
            }
        };
    }
    table
}

/// Who serves it, as short as it can be said: the whole of it is in JSON, and what `info` shows.
fn server(row: &Row) -> String {
    let Some(id) = row.server_pid else {
        return String::new();
    };
    let program = row.server_program.as_deref().unwrap_or("?");
    let program = program.rsplit('/').next().unwrap_or(program);
    let user = match &row.server_user {
        Some(User {
            name: Some(name), ..
        }) => name.clone(),
        Some(user) => user.id.to_string(),
        None => "?".into(),
    };
    plain(&format!("{id} {program} ({user})"))
}
