//! What was measured. The names are those of the JSON, and promised to stay.

use serde::{Deserialize, Serialize};

use super::options::Options;

#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub npipe: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command: Option<String>,
    pub os: String,
    pub arch: String,
    /// The processor, and how many cores of it there are.
    pub cpu: String,
    pub cores: usize,
    /// The kernel, or the version of Wine.
    pub system: String,
    pub rows: Vec<RowReport>,
}

/// A row in one placing: every subject's time a piece, and how that compares with the first one's, the floor's.
#[derive(Debug, Serialize, Deserialize)]
pub struct RowReport {
    pub row: String,
    pub title: String,
    /// `one`, `two` or `free`.
    pub place: String,
    /// Whether it had real-time priority.
    #[serde(default)]
    pub real_time: bool,
    /// The bytes of a write, where it is throughput that matters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes: Option<usize>,
    pub floor: String,
    pub rounds: usize,
    pub subjects: Vec<Measured>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    pub subject: String,
    /// Of one round trip, write, connect or storm.
    pub nanoseconds: Quartiles,
    /// Of its time to the floor's in the same round.
    pub ratio: Quartiles,
    /// The same to itself without idle connections beside it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ratio_to_itself_alone: Option<Quartiles>,
    /// How long a connect took in a storm, in nanoseconds: medians over the rounds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connect_p50: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connect_p99: Option<u64>,
    /// How many pieces a block had.
    pub block: u64,
    /// The nanoseconds of each round.
    pub all: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quartiles {
    pub q1: f64,
    pub median: f64,
    pub q3: f64,
}

impl Quartiles {
    pub fn of(values: impl Iterator<Item = f64>) -> Quartiles {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        // Between two values where the share falls between them.
        let at = |share: f64| {
            let place = share * values.len().saturating_sub(1) as f64;
            let below = values.get(place.floor() as usize).copied().unwrap_or(0.0);
            let above = values.get(place.ceil() as usize).copied().unwrap_or(0.0);
            below + (above - below) * place.fract()
        };
        Quartiles {
            q1: at(0.25),
            median: at(0.5),
            q3: at(0.75),
        }
    }
}

impl Report {
    pub fn new(options: &Options) -> Report {
        Report {
            npipe: env!("CARGO_PKG_VERSION").to_owned(),
            date: options.date.clone(),
            command: options.command.clone(),
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            cpu: cpu().unwrap_or_else(|| "an unknown processor".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            system: options.system.clone().or_else(kernel).unwrap_or_default(),
            rows: Vec::new(),
        }
    }
}

fn cpu() -> Option<String> {
    if cfg!(windows) {
        return std::env::var("PROCESSOR_IDENTIFIER").ok();
    }
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kernel() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("Linux {}", release.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_values_where_they_fall_between() {
        let of = |values: &[f64]| Quartiles::of(values.iter().copied());
        assert_eq!(
            of(&[4.0, 1.0, 3.0, 2.0, 5.0]),
            Quartiles {
                q1: 2.0,
                median: 3.0,
                q3: 4.0
            }
        );
        assert_eq!(of(&[1.0, 2.0]).median, 1.5);
        assert_eq!(of(&[]).median, 0.0);
    }
}
