//! The results as tables for a screen, a row each, as soon as it is measured.

use super::place::Placing;
use super::report::{Measured, Report, RowReport};
use crate::figures::{bytes, time};

pub fn heading(report: &Report) {
    let date = report
        .date
        .as_deref()
        .map(|date| format!("{date}, "))
        .unwrap_or_default();
    println!(
        "{date}{}, {} cores, {}; npipe {}",
        report.cpu, report.cores, report.system, report.npipe
    );
    println!(
        "Medians of blocks in turns, and the quartiles; ratios are each round's own, of time to the floor's."
    );
}

pub fn row(row: &RowReport) {
    let place = Placing::parse(&row.place).map_or("", Placing::says);
    let how = if row.real_time {
        ", at real-time priority"
    } else {
        ""
    };
    println!("\n{}, {place}{how}, {} rounds", row.title, row.rounds);
    for subject in &row.subjects {
        println!("{}", line(row, subject));
    }
}

fn line(row: &RowReport, subject: &Measured) -> String {
    let nanos = subject.nanoseconds;
    let value = match row.bytes {
        Some(size) => format!("{}/s", bytes(size as f64 / nanos.median * 1e9)),
        None => time(nanos.median as u64),
    };
    let mut line = format!(
        "  {:<24}{value:>12}  {:>8} to {:<8}",
        subject.subject,
        time(nanos.q1 as u64),
        time(nanos.q3 as u64)
    );
    if subject.subject == row.floor {
        line += "  the floor";
    } else {
        let ratio = subject.ratio;
        line += &format!(
            "{:>7.3}  ({:.3} to {:.3})",
            ratio.median, ratio.q1, ratio.q3
        );
    }
    if let Some(own) = subject.ratio_to_itself_alone {
        line += &format!(", {:.3} of itself alone", own.median);
    }
    if let (Some(median), Some(worst)) = (subject.connect_p50, subject.connect_p99) {
        line += &format!("; connect {}, p99 {}", time(median), time(worst));
    }
    line.trim_end().to_owned()
}
