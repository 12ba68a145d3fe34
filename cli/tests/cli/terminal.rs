//! `connect --raw`, at a terminal that `script` makes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use crate::harness::*;

/// `npipe` with a terminal of its own, whose keys are our stdin and whose screen our stdout.
fn at_a_terminal(line: &str) -> Running {
    let mut script = Command::new("script");
    script
        .args(["-q", "-e", "-c", line, "/dev/null"])
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    start_command(script)
}

#[test]
fn every_key_goes_to_the_console_but_the_one_that_leaves() {
    let _watchdog = watchdog();
    for (option, key) in [("", b'\x1d'), ("--escape ^A", b'\x01')] {
        let name = name("console");
        let served = server(&name, 1, |stream| {
            (&stream).write_all(b"login: ").unwrap();
            let mut typed = [0; 4];
            (&stream).read_exact(&mut typed).unwrap();
            // As a console does, it shows what is typed, and never closes.
            (&stream).write_all(b"ok\r\n").unwrap();
            let rest = std::io::copy(&mut &stream, &mut std::io::sink());
            (typed, rest.unwrap_or(0))
        });
        let npipe = env!("CARGO_BIN_EXE_npipe");
        let mut terminal = at_a_terminal(&format!(
            "{npipe} connect --raw {option} {name}; echo ended with $?; stty -a"
        ));
        let mut line = terminal.read_line();
        assert!(line.contains("leaves"), "{line}");
        // Ctrl-C and Enter are keys like others.
        terminal.write(b"a\x03\r\x04");
        line = terminal.read_line();
        assert!(line.starts_with("login: ok"), "{line:?}");
        terminal.write([b'x', key, b'y']);
        while !line.contains("ended with") {
            line = terminal.read_line();
        }
        assert!(line.contains("ended with 0"), "{line}");
        let mut rest = String::new();
        let screen = terminal.stdout.take().unwrap();
        for line in BufReader::new(screen).lines().map_while(Result::ok) {
            rest += &line;
            rest.push(' ');
        }
        assert!(
            rest.contains(" icanon") && rest.contains(" echo "),
            "{rest}"
        );
        assert_eq!(served.join().unwrap(), [(*b"a\x03\r\x04", 1)]);
    }
}

#[test]
fn where_there_is_no_terminal_there_is_nothing_to_set() {
    let _watchdog = watchdog();
    let name = name("no-terminal");
    let served = server(&name, 1, drop);
    let ended = run(&["connect", "--raw", &name]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("no terminal"), "{ended:?}");
    served.join().unwrap();
    let ended = run(&["connect", "--raw", "--escape", "Esc", &name]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
