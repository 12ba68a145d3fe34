//! `completions` and `man`.

use crate::harness::*;

#[test]
fn completions_know_every_command() {
    let _watchdog = watchdog();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).done();
        for word in ["connect", "listen", "relay", "tap", "exit-on-eof"] {
            assert!(script.text().contains(word), "{shell} lacks {word}");
        }
        assert!(!script.text().contains("bench-server"), "{shell}");
        assert!(script.text().contains("version"), "{shell}");
        for help in ["npipe__help", "Print this message or the help"] {
            assert!(!script.text().contains(help), "{shell}");
        }
    }
    // What is not completed is no command, either.
    assert_eq!(run(&["help"]).code, Some(2));
}

#[test]
fn the_manual_has_every_command_and_every_exit_code() {
    let _watchdog = watchdog();
    let page = run(&["man"]).done();
    for part in [
        "NPIPE CONNECT",
        "NPIPE RELAY",
        "EXIT STATUS",
        "6  the name is taken",
        r"\e\e.\epipe\emypipe",
    ] {
        assert!(page.text().contains(part), "the manual lacks {part}");
    }
}
