//! The results as one picture: how long a round trip and a connect take, by percentile, and what goes through.

use std::fmt::Write;

use super::figures::{bytes, escape, percentile, time};
use super::results::{Results, Times};

const WIDTH: f64 = 760.0;
/// Without the throughput, which somebody else's server has none of.
const SHORT: f64 = 386.0;
const HEIGHT: f64 = 470.0;

// The curves' field.
const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - 30.0;
const TOP: f64 = 78.0;
const BOTTOM: f64 = 330.0;

/// The last of them is at the right edge.
const SHARES: [(f64, &str); 6] = [
    (0.0, "min"),
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
];

const ROUND_TRIP: &str = "#1f77b4";
const CONNECT: &str = "#d9722e";

pub fn svg(results: &Results) -> String {
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = draw(&mut svg, results);
    svg
}

fn draw(svg: &mut String, results: &Results) -> std::fmt::Result {
    let height = match results.throughput {
        Some(_) => HEIGHT,
        None => SHORT,
    };
    writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="12" fill="#333">
<rect width="{WIDTH}" height="{height}" fill="#fff"/>
<text x="{LEFT}" y="30" font-size="17" font-weight="600">npipe bench</text>
<text x="{LEFT}" y="50" fill="#777">{}, {} {}, {} cores, npipe {}</text>"##,
        escape(&results.pipe),
        results.os,
        results.arch,
        results.cores,
        results.version
    )?;
    let curves = [
        (
            &results.round_trip,
            ROUND_TRIP,
            format!("round trip, {}", bytes(results.round_trip.size as f64)),
        ),
        (&results.connect, CONNECT, "connect, close".to_owned()),
    ];
    let scale = Scale::of(curves.iter().map(|(times, ..)| *times));
    axes(svg, &scale)?;
    for (number, (times, color, name)) in curves.iter().enumerate() {
        curve(svg, &scale, times, color)?;
        let (x, y) = (LEFT + 16.0, TOP + 20.0 + 20.0 * number as f64);
        writeln!(
            svg,
            r##"<rect x="{x}" y="{:.1}" width="18" height="3" fill="{color}"/><text x="{:.1}" y="{y:.1}">{name}: {:.0} a second, median {}</text>"##,
            y - 5.5,
            x + 26.0,
            times.per_second,
            micro(times.p50)
        )?;
    }
    if let Some(throughput) = &results.throughput {
        let most = throughput
            .to_server_bytes_per_second
            .max(throughput.to_client_bytes_per_second)
            .max(1.0);
        writeln!(
            svg,
            r##"<text x="{LEFT}" y="{:.1}" fill="#777">throughput, {} a write</text>"##,
            BOTTOM + 62.0,
            bytes(throughput.block as f64)
        )?;
        for (number, (what, rate)) in [
            ("client to server", throughput.to_server_bytes_per_second),
            ("server to client", throughput.to_client_bytes_per_second),
        ]
        .into_iter()
        .enumerate()
        {
            let y = BOTTOM + 74.0 + 26.0 * number as f64;
            let x = LEFT + 100.0;
            let width = (RIGHT - x - 90.0) * rate / most;
            writeln!(
                svg,
                r##"<text x="{LEFT}" y="{:.1}">{what}</text><rect x="{x}" y="{y:.1}" width="{width:.1}" height="17" rx="2" fill="#4c9a6a"/><text x="{:.1}" y="{:.1}">{}/s</text>"##,
                y + 13.0,
                x + width + 8.0,
                y + 13.0,
                bytes(rate)
            )?;
        }
    }
    writeln!(svg, "</svg>")
}

/// As the table has it, with the letter that a picture can show.
fn micro(nanos: u64) -> String {
    time(nanos).replace("us", "\u{b5}s")
}

/// Times from bottom to top, each power of ten as high as the next.
struct Scale {
    low: f64,
    high: f64,
}

/// From one of these to one of these: as little as can be is left empty above and below.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

impl Scale {
    fn of<'a>(curves: impl Iterator<Item = &'a Times>) -> Scale {
        let (mut low, mut high) = (f64::MAX, 1.0_f64);
        for times in curves.filter(|times| !times.all.is_empty()) {
            low = low.min(times.min.max(1) as f64);
            high = high.max(percentile(&times.all, SHARES[SHARES.len() - 1].0) as f64);
        }
        let steps = || (0..12).flat_map(|power| STEPS.map(|step| step * 10_f64.powi(power)));
        let low = steps().rfind(|&step| step <= low.min(high));
        let low = low.unwrap_or(1.0);
        let high = steps().find(|&step| step >= high && step > low);
        Scale {
            low: low.log10(),
            high: high.unwrap_or(low * 10.0).log10(),
        }
    }

    /// Where the lines are: at every step, or at the powers of ten where that would be too many.
    fn lines(&self) -> impl Iterator<Item = f64> {
        let (low, high) = (self.low - 1e-9, self.high + 1e-9);
        let few = high - low < 3.0;
        (0..12)
            .flat_map(move |power| {
                STEPS
                    .into_iter()
                    .filter(move |&step| few || step == 1.0)
                    .map(move |step| step * 10_f64.powi(power))
            })
            .filter(move |line| (low..=high).contains(&line.log10()))
    }

    fn y(&self, nanos: f64) -> f64 {
        let part = (nanos.max(1.0).log10() - self.low) / (self.high - self.low);
        BOTTOM - (BOTTOM - TOP) * part.clamp(0.0, 1.0)
    }
}

/// Every further nine of a percentile is as wide as the one before it.
fn x(share: f64) -> f64 {
    let nines = |share: f64| -(1.0 - share).log10();
    let most = nines(SHARES[SHARES.len() - 1].0);
    LEFT + (RIGHT - LEFT) * (nines(share) / most).clamp(0.0, 1.0)
}

fn axes(svg: &mut String, scale: &Scale) -> std::fmt::Result {
    for line in scale.lines() {
        let y = scale.y(line);
        writeln!(
            svg,
            r##"<line x1="{LEFT}" x2="{RIGHT}" y1="{y:.1}" y2="{y:.1}" stroke="#e4e4e4"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"##,
            LEFT - 8.0,
            y + 4.0,
            micro(line as u64)
        )?;
    }
    for (share, label) in SHARES {
        let x = x(share);
        writeln!(
            svg,
            r##"<line x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{BOTTOM}" stroke="#f0f0f0"/><text x="{x:.1}" y="{:.1}" text-anchor="middle">{label}</text>"##,
            BOTTOM + 18.0
        )?;
    }
    writeln!(
        svg,
        r##"<text x="{RIGHT}" y="{:.1}" text-anchor="end" fill="#777">share that took no longer</text>"##,
        BOTTOM + 36.0
    )
}

fn curve(svg: &mut String, scale: &Scale, times: &Times, color: &str) -> std::fmt::Result {
    if times.all.is_empty() {
        return Ok(());
    }
    // Evenly in what is drawn, which is not evenly in shares.
    const POINTS: u32 = 240;
    let nines = -(1.0 - SHARES[SHARES.len() - 1].0).log10();
    write!(
        svg,
        r##"<polyline fill="none" stroke="{color}" stroke-width="2" stroke-linejoin="round" points=""##
    )?;
    for point in 0..=POINTS {
        let share = 1.0 - 10_f64.powf(-nines * f64::from(point) / f64::from(POINTS));
        let y = scale.y(percentile(&times.all, share) as f64);
        write!(svg, "{:.1},{y:.1} ", x(share))?;
    }
    writeln!(svg, r##""/>"##)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_as_high_as_the_curves() {
        for (min, max) in [
            (31_000, 190_000),
            (900, 4_200_000),
            (1, 1),
            (7, 9_000_000_000),
        ] {
            let times = Times::of(64, vec![min, max], std::time::Duration::from_secs(1));
            let scale = Scale::of([&times].into_iter());
            let empty = (scale.y(min as f64) - BOTTOM).abs() + (scale.y(max as f64) - TOP).abs();
            let most = (BOTTOM - TOP) * 0.8 / (scale.high - scale.low);
            assert!(empty <= most, "{empty} of {most} for {min} to {max}");
            let lines: Vec<_> = scale.lines().collect();
            assert!((1..=12).contains(&lines.len()), "{lines:?}");
        }
    }
}
