//! `completions` and `man`.

use crate::harness::*;

#[test]
fn there_are_completions_for_each_shell() {
    let _watchdog = watchdog();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).done();
        for word in ["npipe", "COMPLETE"] {
            assert!(script.text().contains(word), "{shell} lacks {word}");
        }
    }
    assert_eq!(run(&["completions", "csh"]).code, Some(2));
}

/// What it tells a shell, as fish asks.
fn completed(words: &[&str]) -> String {
    let words: Vec<_> = ["--", "npipe"].iter().chain(words).collect();
    let mut complete = npipe(&words);
    complete.env("COMPLETE", "fish");
    start_command(complete).finish().done().text().to_owned()
}

#[test]
fn commands_and_options_are_completed() {
    let _watchdog = watchdog();
    let commands = completed(&[""]);
    for command in ["connect", "listen", "relay", "tap", "mux", "replay", "help"] {
        assert!(commands.contains(command), "{commands}");
    }
    assert!(!commands.contains("bench-server"), "{commands}");
    assert!(completed(&["connect", "--exit"]).contains("--exit-on-eof"));
}

#[test]
#[cfg_attr(windows, ignore = "left out: Wine 10 cannot list pipes")]
fn names_of_pipes_are_completed() {
    let _watchdog = watchdog();
    let name = name("completed");
    let _listener = npipe::PipeListener::bind(&name).unwrap();
    for words in [
        &["connect"][..],
        &["doctor"],
        &["info"],
        &["relay", "tcp:127.0.0.1:0"],
        &["tap", "x"],
    ] {
        let mut words = words.to_vec();
        words.push(&name[..name.len() - 1]);
        let pipes = completed(&words);
        assert_eq!(pipes.trim_end(), name, "{words:?}");
    }
}

#[test]
fn each_page_of_the_manual_has_every_section() {
    let _watchdog = watchdog();
    let whole = run(&["man"]).done();
    for part in ["COMMANDS", "npipe\\-relay", "6  the name is taken"] {
        assert!(whole.text().contains(part), "the manual lacks {part}");
    }
    for &command in crate::help::COMMANDS {
        let args: Vec<_> = ["man", command]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        let page = run(&args).done();
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "\"EXIT STATUS\"",
            "\"ENVIRONMENT\"",
            "\"FILES\"",
            "EXAMPLES",
            "\"SEE ALSO\"",
        ] {
            let heading = format!(".SH {section}\n");
            let at = page.text().replace("\r\n", "\n").find(&heading);
            assert!(at.is_some(), "npipe man {command} lacks {section}");
        }
    }
    assert_eq!(run(&["man", "nothing"]).code, Some(2));
}
