//! What is measured: the rows, and the subjects of each.

/// What a client does in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Round trips of so many bytes.
    Trips(usize),
    /// Writes of so many bytes, to a server that takes all of them.
    Writes(usize),
    /// Connects, one after the other, each with one answer.
    Connects,
    /// So many clients at once.
    Storm,
}

#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    pub title: &'static str,
    pub work: Work,
    /// What the others are compared with, on Unix and on Windows: the first of them that there is.
    floors: &'static [&'static str],
    subjects: &'static [&'static str],
}

/// npipe in each of its ways, and everybody else. `@N` is beside N connections that are open and idle.
const EVERYBODY: &[&str] = &[
    "npipe",
    "npipe+deadline",
    "npipe+shared",
    "npipe+shared+deadline",
    "npipe+busy",
    "std+spins",
    "npipe+small",
    "npipe-tokio",
    "npipe-tokio+timers",
    "npipe-tokio+several",
    "npipe-tokio+several+main",
    "npipe-tokio+several+timers",
    "tokio",
    "tokio+several",
    "tokio+several+main",
    "interprocess",
    "interprocess-tokio",
    "go",
    "dotnet",
    "node",
];

const BARE: &[&str] = &["std", "bare-overlapped"];
/// On Windows one instance after the other serves no burst: bare calls that do would be a listener.
const BURST: &[&str] = &["std", "interprocess"];
const PACKETS: &[&str] = &["packets"];
const MESSAGES: &[&str] = &[
    "npipe+messages",
    "npipe+parts",
    "npipe+bytes",
    "packets+inlined",
];

pub const ROWS: &[Row] = &[
    Row {
        name: "trip-64",
        title: "round trip, 64 B",
        work: Work::Trips(64),
        floors: BARE,
        subjects: EVERYBODY,
    },
    Row {
        name: "trip-1k",
        title: "round trip, 1 KiB",
        work: Work::Trips(1024),
        floors: BARE,
        subjects: EVERYBODY,
    },
    Row {
        name: "trip-64k",
        title: "round trip, 64 KiB",
        work: Work::Trips(64 * 1024),
        floors: BARE,
        subjects: EVERYBODY,
    },
    Row {
        name: "trip-idle",
        title: "round trip, 64 B, beside idle connections",
        work: Work::Trips(64),
        floors: &["npipe"],
        subjects: &[
            "npipe@100",
            "npipe@1000",
            "std",
            "std@1000",
            "npipe-tokio",
            "npipe-tokio@1000",
            "tokio",
            "tokio@1000",
        ],
    },
    Row {
        name: "write-64k",
        title: "one way, 64 KiB a write",
        work: Work::Writes(64 * 1024),
        floors: BARE,
        subjects: EVERYBODY,
    },
    Row {
        name: "write-1m",
        title: "one way, 1 MiB a write",
        work: Work::Writes(1024 * 1024),
        floors: BARE,
        subjects: EVERYBODY,
    },
    Row {
        name: "connect",
        title: "connect, ask, close: one at a time",
        work: Work::Connects,
        floors: BURST,
        subjects: EVERYBODY,
    },
    Row {
        name: "storm",
        title: "200 clients at once",
        work: Work::Storm,
        floors: BURST,
        subjects: &[
            "npipe",
            "npipe-tokio",
            "tokio",
            "interprocess",
            "interprocess-tokio",
            "go",
            "dotnet",
            "node",
        ],
    },
    Row {
        name: "message-64",
        title: "messages of 64 B, one way",
        work: Work::Writes(64),
        floors: PACKETS,
        subjects: MESSAGES,
    },
    Row {
        name: "message-100k",
        title: "messages of 100 KB, one way",
        work: Work::Writes(100_000),
        floors: PACKETS,
        subjects: MESSAGES,
    },
    Row {
        name: "message-trip",
        title: "round trip of messages, 64 B",
        work: Work::Trips(64),
        floors: PACKETS,
        subjects: MESSAGES,
    },
];

/// What only one system has.
fn is_here(subject: &str) -> bool {
    match subject.split('@').next().unwrap_or(subject) {
        "std" | "std+spins" => cfg!(unix),
        "packets" | "packets+inlined" => cfg!(target_os = "linux"),
        // Elsewhere it makes no difference by whom a task is woken, and sockets need tokio's driver.
        "npipe-tokio+timers"
        | "npipe-tokio+several"
        | "npipe-tokio+several+main"
        | "npipe-tokio+several+timers"
        | "tokio+several"
        | "tokio+several+main" => cfg!(windows),
        "bare" | "bare-overlapped" => cfg!(windows),
        "npipe+messages" | "npipe+parts" | "npipe+bytes" => {
            cfg!(any(windows, target_os = "linux"))
        }
        _ => true,
    }
}

/// A subject in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What it is called in a report.
    pub name: String,
    /// What the programs are told, or the name of one in another language.
    pub program: String,
    /// Beside how many idle connections.
    pub idle: usize,
}

impl Subject {
    fn new(name: &str) -> Subject {
        let (program, idle) = match name.split_once('@') {
            Some((program, idle)) => (program, idle.parse().unwrap_or(0)),
            None => (name, 0),
        };
        Subject {
            name: name.to_owned(),
            program: program.to_owned(),
            idle,
        }
    }
}

/// The languages that have programs of their own.
const FOREIGN: [&str; 3] = ["go", "dotnet", "node"];

impl Row {
    /// Who takes part, the floor first; `None` where there is nobody to compare.
    pub fn subjects(&self, foreign: &[&str], only: Option<&[String]>) -> Option<Vec<Subject>> {
        let here =
            |name: &&&str| is_here(name) && (!FOREIGN.contains(*name) || foreign.contains(*name));
        let mut names: Vec<&str> = self.floors.iter().filter(here).take(1).copied().collect();
        // Where there is no floor, such as for messages on Windows, it is npipe itself.
        for name in self.subjects.iter().filter(here) {
            let program = name.split('@').next().unwrap_or(name);
            if only.is_none_or(|only| only.iter().any(|it| it == program || it == name))
                && !names.contains(name)
            {
                names.push(name);
            }
        }
        if cfg!(windows) && self.floors == BARE {
            names.insert(1, "bare");
        }
        (names.len() > 1).then(|| names.into_iter().map(Subject::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_floor_and_somebody_to_compare() {
        for row in ROWS {
            let Some(subjects) = row.subjects(&[], None) else {
                // Messages are not for every system.
                assert!(row.floors == PACKETS, "{}", row.name);
                continue;
            };
            let mut names: Vec<&str> = subjects.iter().map(|it| it.name.as_str()).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "{}: {names:?}", row.name);
            assert!(!names.contains(&"go"), "there is none");
        }
    }

    #[test]
    fn what_is_beside_idle_connections_is_the_same_program() {
        let subject = Subject::new("npipe+shared@1000");
        assert_eq!(
            (subject.program.as_str(), subject.idle),
            ("npipe+shared", 1000)
        );
    }
}
