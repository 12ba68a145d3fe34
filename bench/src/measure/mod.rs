//! The harness: subjects side by side, in small blocks, in turns.

mod blocks;
mod draw;
mod options;
mod peer;
mod place;
mod report;
mod rows;
mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use self::options::Options;
use self::report::Report;

pub use self::options::USAGE;

pub fn run(arguments: &[&str]) -> Result<()> {
    let options = Options::parse(arguments)?;
    if options.list {
        for row in rows::ROWS {
            println!("{:<14}{}", row.name, row.title);
        }
        return Ok(());
    }
    more_descriptors();
    let mut report = Report::new(&options);
    table::heading(&report);
    for place in &options.places {
        for row in options.rows() {
            let Some(result) = blocks::row(row, *place, &options)
                .with_context(|| format!("{}, {}", row.title, place.says()))?
            else {
                continue;
            };
            table::row(&result);
            report.rows.push(result);
        }
    }
    ensure!(
        !report.rows.is_empty(),
        "none of these rows is for this system"
    );
    if let Some(path) = &options.json {
        write(path, &(serde_json::to_string_pretty(&report)? + "\n"))?;
    }
    if let Some(path) = &options.svg {
        write(path, &draw::svg(&[report]))?;
    }
    Ok(())
}

/// Draws what was measured before: the picture, and the JSON files of one or several runs.
pub fn draw(arguments: &[&str]) -> Result<()> {
    let [picture, files @ ..] = arguments else {
        anyhow::bail!("draw FILE.svg FILE.json...");
    };
    let reports = read(files)?;
    ensure!(
        !reports.is_empty(),
        "there is nothing to draw: name a JSON file"
    );
    write(Path::new(picture), &draw::svg(&reports))
}

/// Puts the rows of several reports of one machine into one: the new file, and the files.
pub fn join(arguments: &[&str]) -> Result<()> {
    let [joined, files @ ..] = arguments else {
        anyhow::bail!("join FILE.json FILE.json...");
    };
    let mut reports = read(files)?.into_iter();
    let mut all = reports.next().context("there is nothing to join")?;
    all.rows.extend(reports.flat_map(|report| report.rows));
    write(
        Path::new(joined),
        &(serde_json::to_string_pretty(&all)? + "\n"),
    )
}

fn read(files: &[&str]) -> Result<Vec<Report>> {
    files
        .iter()
        .map(|file| {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
            serde_json::from_str(&text).with_context(|| format!("{file} is no report"))
        })
        .collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A thousand connections are more than a process may have at first.
fn more_descriptors() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        let _ = setrlimit(Resource::Nofile, limit);
    }
}
