//! What was measured, and how its numbers are written.

use std::time::Duration;

use serde::Serialize;

use super::figures::percentile;

/// The results. The names are promised to stay; times are nanoseconds.
#[derive(Debug, Serialize)]
pub struct Results {
    pub version: &'static str,
    pub os: &'static str,
    pub arch: &'static str,
    pub cores: usize,
    pub pipe: String,
    pub round_trip: Times,
    pub connect: Times,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput: Option<Throughput>,
}

#[derive(Debug, Serialize)]
pub struct Times {
    /// Bytes each way.
    pub size: usize,
    pub count: usize,
    pub per_second: f64,
    pub mean: u64,
    pub min: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
    pub max: u64,
    /// All of them, in order of size, for the plot.
    #[serde(skip)]
    pub all: Vec<u64>,
}

#[derive(Debug, Serialize)]
pub struct Throughput {
    pub block: usize,
    pub to_server_bytes_per_second: f64,
    pub to_client_bytes_per_second: f64,
}

impl Times {
    pub fn of(size: usize, mut all: Vec<u64>, took: Duration) -> Times {
        all.sort_unstable();
        let sum: u64 = all.iter().sum();
        let count = all.len();
        Times {
            size,
            count,
            per_second: count as f64 / took.as_secs_f64().max(1e-9),
            mean: sum / count.max(1) as u64,
            min: percentile(&all, 0.0),
            p50: percentile(&all, 0.5),
            p90: percentile(&all, 0.9),
            p99: percentile(&all, 0.99),
            p99_9: percentile(&all, 0.999),
            max: percentile(&all, 1.0),
            all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times = Times::of(1, (1..=1000).rev().collect(), Duration::from_secs(2));
        assert_eq!(
            (
                times.min,
                times.p50,
                times.p90,
                times.p99,
                times.p99_9,
                times.max
            ),
            (1, 500, 900, 990, 999, 1000)
        );
        assert_eq!(
            (times.count, times.per_second, times.mean),
            (1000, 500.0, 500)
        );
        assert_eq!(Times::of(1, vec![], Duration::ZERO).p99, 0);
    }
}
