//! The results as one picture: bars, a panel for every row that says most.

use std::fmt::Write;

use super::place::Placing;
use super::report::{Report, RowReport};
use crate::figures::{bytes, escape, time};

const WIDTH: f64 = 860.0;
const COLUMN: f64 = WIDTH / 2.0;
const BAR: f64 = 13.0;
const STEP: f64 = 18.0;

/// What the tables have and the picture does without.
const LEFT_OUT: [&str; 7] = [
    "npipe+small",
    "npipe+shared+deadline",
    "packets+inlined",
    "std+spins",
    "npipe-tokio+several+main",
    "npipe-tokio+several+timers",
    "tokio+several+main",
];

const OURS: &str = "#1f77b4";
const FLOOR: &str = "#9a9a9a";
const OTHERS: &str = "#d9a66e";

/// The rows that the picture shows, where they were measured.
const SHOWN: [(&str, &str); 8] = [
    ("trip-64", "one"),
    ("trip-64", "two"),
    ("trip-64", "free"),
    ("trip-64k", "one"),
    ("write-64k", "one"),
    ("write-64k", "free"),
    ("storm", "free"),
    ("message-64", "one"),
];

pub fn svg(reports: &[Report]) -> String {
    let mut panels = String::new();
    let mut y = 0.0;
    // Writing to a string cannot fail.
    let _ = all(&mut panels, reports, &mut y);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0}" width="{WIDTH}" height="{y:.0}" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="11" fill="#333">
<rect width="{WIDTH}" height="{y:.0}" fill="#fff"/>
{panels}</svg>
"##
    )
}

fn all(svg: &mut String, reports: &[Report], y: &mut f64) -> std::fmt::Result {
    for report in reports {
        *y += 30.0;
        let date = report.date.as_deref().unwrap_or("");
        writeln!(
            svg,
            r##"<text x="16" y="{:.0}" font-size="15" font-weight="600">{}</text>
<text x="16" y="{:.0}" fill="#777">{} npipe {}, {}, {} cores</text>
<text x="16" y="{:.0}" fill="#777">{}</text>"##,
            *y,
            escape(&report.system),
            *y + 17.0,
            escape(date),
            escape(&report.npipe),
            escape(&report.cpu),
            report.cores,
            *y + 32.0,
            escape(report.command.as_deref().unwrap_or("")),
        )?;
        *y += 46.0;
        let shown: Vec<&RowReport> = SHOWN
            .iter()
            .filter_map(|(name, place)| {
                report
                    .rows
                    .iter()
                    .find(|row| row.row == *name && row.place == *place)
            })
            .collect();
        let shown = if shown.is_empty() {
            report.rows.iter().collect()
        } else {
            shown
        };
        for pair in shown.chunks(2) {
            let mut tallest: f64 = 0.0;
            for (number, row) in pair.iter().enumerate() {
                tallest = tallest.max(panel(svg, row, &report.os, COLUMN * number as f64, *y)?);
            }
            *y += tallest + 22.0;
        }
    }
    Ok(())
}

/// One row; returns how tall it is.
fn panel(
    svg: &mut String,
    row: &RowReport,
    os: &str,
    x: f64,
    y: f64,
) -> Result<f64, std::fmt::Error> {
    let place = Placing::parse(&row.place).map_or("", Placing::says);
    let better = if row.bytes.is_some() {
        "more is better"
    } else {
        "less is better"
    };
    writeln!(
        svg,
        r##"<text x="{:.0}" y="{:.0}" font-size="12" font-weight="600">{}, {place}</text><text x="{:.0}" y="{:.0}" text-anchor="end" fill="#999">{better}</text>"##,
        x + 16.0,
        y + 14.0,
        escape(&row.title),
        x + COLUMN - 16.0,
        y + 14.0,
    )?;
    let value = |nanos: f64| match row.bytes {
        Some(size) => size as f64 / nanos * 1e9,
        None => nanos,
    };
    let subjects = || {
        row.subjects
            .iter()
            .filter(|it| !LEFT_OUT.contains(&it.subject.as_str()))
    };
    let values = || subjects().map(|subject| value(subject.nanoseconds.median));
    // One that is far off would leave nothing of the differences between the others: its bar is broken.
    let most = values().fold(f64::MIN_POSITIVE, f64::max);
    let limit = values().next().map_or(most, |floor| most.min(floor * 4.0));
    let (left, right) = (x + 150.0, x + COLUMN - 76.0);
    for (number, subject) in subjects().enumerate() {
        let top = y + 22.0 + STEP * number as f64;
        let median = value(subject.nanoseconds.median);
        let color = if subject.subject == row.floor {
            FLOOR
        } else if subject.subject.starts_with("npipe") {
            OURS
        } else {
            OTHERS
        };
        let width = (right - left) * (median / limit).min(1.0);
        let text = match row.bytes {
            Some(_) => format!("{}/s", bytes(median)),
            None => time(median as u64),
        };
        writeln!(
            svg,
            r##"<text x="{:.0}" y="{:.1}" text-anchor="end">{}</text><rect x="{left:.0}" y="{top:.1}" width="{width:.1}" height="{BAR}" rx="2" fill="{color}"/><text x="{:.1}" y="{:.1}">{text}</text>"##,
            left - 8.0,
            top + 10.0,
            escape(&label(&subject.subject, os)),
            left + width + 6.0,
            top + 10.0,
        )?;
        if median > limit {
            writeln!(
                svg,
                r##"<path d="M{:.0} {:.1} l5 {:.0} h4 l-5 -{:.0} z" fill="#fff"/>"##,
                right - 24.0,
                top - 1.0,
                BAR + 2.0,
                BAR + 2.0,
            )?;
        }
    }
    Ok(22.0 + STEP * subjects().count() as f64)
}

/// What a subject is called for a reader.
fn label(subject: &str, os: &str) -> String {
    match subject {
        "std" => "std's UnixStream".to_owned(),
        "packets" => "raw packets".to_owned(),
        "bare" => "bare calls, blocking".to_owned(),
        "bare-overlapped" => "bare calls, overlapped".to_owned(),
        "go" if os == "windows" => "go-winio".to_owned(),
        "go" => "Go".to_owned(),
        "dotnet" => ".NET 8".to_owned(),
        "node" => "Node".to_owned(),
        other => other.replace('+', ", ").replace('@', " beside "),
    }
}
