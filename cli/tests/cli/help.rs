//! Help fits a screen and stays as it is. `UPDATE_SNAPSHOTS=1 cargo test -p npipe-cli` writes it anew.

use std::path::Path;

use crate::harness::*;

const COLUMNS: usize = 80;
const LINES: usize = 40;

pub const COMMANDS: &[&str] = &[
    "",
    "demo",
    "connect",
    "ask",
    "listen",
    "relay",
    "mux",
    "tap",
    "replay",
    "list",
    "info",
    "doctor",
    "bench",
    "completions",
    "man",
    "help",
];

#[test]
fn help_fits_a_screen_and_is_as_it_was() {
    let _watchdog = watchdog();
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    for command in COMMANDS {
        let args: Vec<_> = [*command, "-h"]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        let ended = run(&args).done();
        let help = ended.text().replace("\r\n", "\n");
        for line in help.lines() {
            let columns = line.chars().count();
            assert!(columns <= COLUMNS, "{columns} columns: {line}");
        }
        let lines = help.lines().count();
        assert!(lines <= LINES, "{lines} lines: npipe {command} -h");
        let file = snapshots.join(format!(
            "{}.txt",
            if command.is_empty() { "npipe" } else { command }
        ));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::create_dir_all(&snapshots).unwrap();
            std::fs::write(&file, &help).unwrap();
        }
        let was =
            std::fs::read_to_string(&file).expect("a snapshot; make it with UPDATE_SNAPSHOTS=1");
        // A checkout may have changed the line ends.
        assert_eq!(help, was.replace("\r\n", "\n"), "npipe {command} -h");
    }
}

#[test]
fn the_main_help_is_there_without_asking() {
    let _watchdog = watchdog();
    let bare = run(&[]);
    assert_eq!(bare.code, Some(2));
    assert_eq!(bare.stderr, run(&["-h"]).done().text());
    let lines = bare.stderr.lines().count();
    assert!(lines <= 24, "{lines} lines");
}

#[test]
fn help_in_full_has_all_that_the_short_one_has_and_more() {
    let _watchdog = watchdog();
    for command in COMMANDS.iter().filter(|command| !command.is_empty()) {
        let short = run(&[command, "-h"]).done();
        let long = run(&[command, "--help"]).done();
        let options = |text: &str| {
            let words = text.split([' ', ',', '\n', '[', '=', ':', '.', ';', ')']);
            let options = words.filter(|word| word.starts_with("--"));
            options.map(str::to_owned).collect::<Vec<_>>()
        };
        for option in options(short.text()) {
            assert!(long.text().contains(&option), "{command} lacks {option}");
        }
        for heading in ["Exit status:", "Environment:", "Files:"] {
            assert!(long.text().contains(heading), "{command} lacks {heading}");
        }
        assert_eq!(run(&["help", command]).done().text(), long.text());
    }
    assert_eq!(run(&["help"]).done().text(), run(&["--help"]).done().text());
    assert_eq!(run(&["help", "nothing"]).code, Some(2));
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_shown_is_told() {
    let _watchdog = watchdog();
    for option in ["--help", "--version"] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut shown = npipe(&[option]);
        shown.stdout(full.unwrap());
        let ended = start_command(shown).finish();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("write to stdout: "), "{ended:?}");
    }
}
