//! The library's examples that are whole programs, each with its C# half, as they are shown to users.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::process::Command;
use std::time::Duration;

use npipe::{ConnectOptions, PipeStream};
use npipe_interop::{Dotnet, Peer, hear, name, path, watchdog};

const JSON_LINES: &str = env!("CARGO_BIN_EXE_rust-json-lines");
const RECONNECT: &str = env!("CARGO_BIN_EXE_rust-reconnect");
const SINGLE_INSTANCE: &str = env!("CARGO_BIN_EXE_rust-single-instance");
const PROGRESS: &str = env!("CARGO_BIN_EXE_rust-progress");

/// Ctrl-C, as a person presses it.
fn interrupt(peer: &Peer) {
    let id = peer.id().to_string();
    let status = if cfg!(windows) {
        Command::new(env!("CARGO_BIN_EXE_interrupt"))
            .arg(id)
            .status()
    } else {
        Command::new("sh")
            .args(["-c", &format!("kill -INT {id}")])
            .status()
    };
    assert!(status.unwrap().success());
}

fn connect(pipe: &str) -> PipeStream {
    ConnectOptions::new()
        .wait_for_server(true)
        .timeout(Duration::from_secs(60))
        .connect(pipe)
        .unwrap()
}

mod json_lines {
    use super::*;

    fn serve(pipe: &str) -> Peer {
        let server = Peer::run_in_console(JSON_LINES, &[pipe]).leaving(pipe);
        server.wait_until_it_waits();
        server
    }

    fn ask(reader: &mut BufReader<&PipeStream>, request: &str) -> String {
        writeln!(&**reader.get_ref(), "{request}").unwrap();
        hear(reader)
    }

    #[test]
    #[cfg_attr(
        not(dotnet),
        ignore = "left out: no .NET; `cargo xtask test` sets one up"
    )]
    fn csharp_is_answered_and_sees_the_end_after_ctrl_c() {
        let _watchdog = watchdog();
        for dotnet in Dotnet::all() {
            let pipe = name("json-lines");
            let server = serve(&pipe);
            let client = dotnet.example("JsonLines", &[&pipe, "hello", "a \"quoted\"\ttext \\"]);
            client.expect(r#"{"id":1,"upper":"HELLO"}"#);
            client.expect(r#"{"id":2,"upper":"A \"QUOTED\"\tTEXT \\"}"#);
            interrupt(&server);
            assert_eq!(client.finish(), ["the server has ended"]);
            server.finish();
        }
    }

    #[test]
    fn ctrl_c_ends_every_thread_and_cuts_no_answer() {
        let _watchdog = watchdog();
        const LONG: usize = 4 << 20;
        let pipe = name("json-lines");
        let server = serve(&pipe);
        // Threads that wait in a read, of which some have answered before.
        let waiting: Vec<PipeStream> = (0..4).map(|_| connect(&pipe)).collect();
        for stream in &waiting[..2] {
            let answer = ask(&mut BufReader::new(stream), r#"{"id":"a","text":"b"}"#);
            assert_eq!(answer, r#"{"id":"a","upper":"B"}"#);
        }
        // Threads in the middle of a long answer, with more requests behind it: its first byte has come, and no buffer has
        // room for the rest.
        let mut answered: Vec<PipeStream> = Vec::new();
        for _ in 0..4 {
            let stream = connect(&pipe);
            let text = "x".repeat(LONG);
            writeln!(&stream, r#"{{"id":7,"text":"{text}"}}"#).unwrap();
            (&stream).read_exact(&mut [0]).unwrap();
            answered.push(stream);
        }
        interrupt(&server);
        for stream in &waiting {
            assert_eq!((&mut &*stream).read(&mut [0; 64]).unwrap(), 0);
        }
        for stream in &answered {
            let answer = hear(&mut BufReader::new(stream));
            let text = "X".repeat(LONG);
            assert!(
                answer == format!(r#""id":7,"upper":"{text}"}}"#),
                "it is cut"
            );
            assert_eq!((&mut &*stream).read(&mut [0; 64]).unwrap(), 0);
        }
        let (status, output, remarks) = server.end();
        assert_eq!(status.code(), Some(0), "{remarks:?}");
        assert!(output.is_empty() && remarks.is_empty(), "{remarks:?}");
        // And its name is free.
        let error = PipeStream::connect(&pipe).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }

    #[test]
    fn what_is_no_request_is_answered_by_an_error_and_half_a_line_is_not() {
        let _watchdog = watchdog();
        let pipe = name("json-lines");
        let server = serve(&pipe);
        let stream = connect(&pipe);
        let mut reader = BufReader::new(&stream);
        assert!(ask(&mut reader, "{").contains("\"error\":"));
        assert_eq!(
            ask(&mut reader, r#"{"id":3}"#),
            r#"{"error":"it has no \"text\"","id":3}"#
        );
        // A client that leaves in the middle of a line takes nobody along.
        write!(&stream, r#"{{"id":4,"text":"ha"#).unwrap();
        drop(stream);
        let stream = connect(&pipe);
        let answer = ask(&mut BufReader::new(&stream), r#"{"id":5,"text":"c"}"#);
        assert_eq!(answer, r#"{"id":5,"upper":"C"}"#);
        interrupt(&server);
        server.finish();
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_client_reconnects_to_a_server_that_was_killed_and_asks_again() {
    let _watchdog = watchdog();
    let pipe = name("reconnect");
    let serve = |words: &[&str]| {
        let words = [&[&*pipe], words].concat();
        let server = Dotnet::first().example("Reconnect", &words).leaving(&pipe);
        server.wait_until_it_waits();
        server
    };
    // The client may come first.
    let mut client = Peer::run(RECONNECT, &[&pipe]);
    client.write_line("one");
    let mut server = serve(&["slow"]);
    server.expect("asked one");
    server.go();
    client.expect("answer to one");
    // It is killed while it owes an answer.
    client.write_line("two");
    server.expect("asked two");
    server.kill();
    drop(server);
    let mut server = serve(&[]);
    server.expect("asked two");
    client.expect("answer to two");
    // And while it owes none.
    server.kill();
    drop(server);
    client.write_line("three");
    let server = serve(&[]);
    server.expect("asked three");
    client.expect("answer to three");
    client.end_input();
    assert!(client.finish().is_empty());
}

#[cfg(any(windows, target_os = "linux"))]
mod messages {
    use super::*;

    fn serve(pipe: &str) -> Peer {
        let server = Peer::run(env!("CARGO_BIN_EXE_rust-messages"), &[pipe]).leaving(pipe);
        server.wait_until_it_waits();
        server
    }

    /// .NET has no message mode elsewhere.
    #[cfg(windows)]
    #[test]
    #[cfg_attr(
        not(dotnet),
        ignore = "left out: no .NET; `cargo xtask test` sets one up"
    )]
    fn csharp_sends_messages_and_reads_them_whole() {
        let _watchdog = watchdog();
        let long = "long ".repeat(1000);
        for dotnet in Dotnet::all() {
            let pipe = name("messages");
            let _server = serve(&pipe);
            let client = dotnet.example("Messages", &[&pipe, "one", "two\nlines", &long]);
            client.expect("3 bytes: ONE");
            client.expect("9 bytes: TWO");
            client.expect("LINES");
            client.expect(&format!("5000 bytes: {}", long.to_uppercase()));
            assert!(client.finish().is_empty());
        }
    }

    #[test]
    fn a_client_of_the_library_is_answered_until_it_half_closes() {
        let _watchdog = watchdog();
        let pipe = name("messages");
        let _server = serve(&pipe);
        let stream = connect(&pipe);
        let long = "y".repeat(300_000);
        let mut answer = Vec::new();
        for text in ["one", &long, "three"] {
            answer.clear();
            stream.transact(text.as_bytes(), &mut answer).unwrap();
            let expected = format!("{} bytes: {}", text.len(), text.to_uppercase());
            assert!(answer == expected.as_bytes());
        }
        stream.send(b"last").unwrap();
        stream.close_write().unwrap();
        answer.clear();
        stream.recv(&mut answer).unwrap();
        assert_eq!(answer, b"4 bytes: LAST");
        // The half close is answered by the end, and not by a message of nothing.
        assert_eq!(stream.recv(&mut answer).unwrap(), None);
    }

    #[test]
    fn a_message_over_the_limit_cuts_its_client_off_and_nobody_else() {
        let _watchdog = watchdog();
        let pipe = name("messages");
        let mut server = serve(&pipe);
        let other = connect(&pipe);
        let stream = connect(&pipe);
        // The server takes no more than its limit of it, and hangs up.
        let error = stream.send(&vec![b'z'; 3 << 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
        let mut answer = Vec::new();
        other.transact(b"still here", &mut answer).unwrap();
        assert_eq!(answer, b"10 bytes: STILL HERE");
        server.kill();
        let (_, _, remarks) = server.end();
        assert!(remarks[0].starts_with("cut off: "), "{remarks:?}");
    }
}

mod single_instance {
    use super::*;

    /// Takes the socket away that a start leaves which a failed test kills; those that are `leaving` would take away
    /// another start's.
    struct Leaves<'a>(&'a str);

    impl Drop for Leaves<'_> {
        fn drop(&mut self) {
            if cfg!(unix) {
                let _ = std::fs::remove_file(path(self.0));
            }
        }
    }

    fn start(pipe: &str, arguments: &[&str]) -> Peer {
        Peer::run(SINGLE_INSTANCE, &[&[pipe], arguments].concat())
    }

    /// What the first one prints of a start from this directory.
    fn call(arguments: &[&str]) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', r"\\"));
        let arguments: Vec<String> = arguments.iter().map(|it| quoted(it)).collect();
        let directory = std::env::current_dir().unwrap();
        format!(
            r#"{{"arguments":[{}],"directory":{}}}"#,
            arguments.join(","),
            quoted(&directory.display().to_string())
        )
    }

    #[test]
    fn of_many_starts_at_once_one_is_the_first_and_gets_all_arguments() {
        let _watchdog = watchdog();
        const STARTS: usize = 16;
        let pipe = name("single");
        let _leaves = Leaves(&pipe);
        let starts: Vec<Peer> = (0..STARTS)
            .map(|number| start(&pipe, &["open", &format!("file {number}")]))
            .collect();
        let mut first = Vec::new();
        for start in starts {
            match start.line().as_deref() {
                Some("first") => first.push(start),
                Some("handed over") => assert!(start.finish().is_empty()),
                other => panic!("{other:?}: {:?}", start.end()),
            }
        }
        assert_eq!(first.len(), 1);
        start(&pipe, &["quit"]).expect("handed over");
        let mut calls = first.remove(0).finish();
        calls.sort();
        let mut expected: Vec<String> = (0..STARTS)
            .map(|number| call(&["open", &format!("file {number}")]))
            .chain([call(&["quit"])])
            .collect();
        expected.sort();
        assert_eq!(calls, expected);
    }

    #[test]
    fn no_start_is_lost_while_the_first_one_ends() {
        let _watchdog = watchdog();
        const STARTS: usize = 12;
        let pipe = name("single");
        let _leaves = Leaves(&pipe);
        // Every third one ends whoever is the first by then, itself for one.
        let starts: Vec<Peer> = (0..STARTS)
            .map(|number| match number % 3 {
                2 => start(&pipe, &["quit"]),
                _ => start(&pipe, &[&number.to_string()]),
            })
            .collect();
        let mut firsts = Vec::new();
        for start in starts {
            match start.line().as_deref() {
                Some("first") => firsts.push(start),
                Some("handed over") => assert!(start.finish().is_empty()),
                other => panic!("{other:?}: {:?}", start.end()),
            }
        }
        // Whoever is still there is ended, until one finds nobody.
        while self::start(&pipe, &["quit"]).finish() == ["handed over"] {}
        let calls: Vec<String> = firsts.into_iter().flat_map(Peer::finish).collect();
        for number in (0..STARTS).filter(|number| number % 3 != 2) {
            let call = call(&[&number.to_string()]);
            let times = calls.iter().filter(|it| **it == call).count();
            assert_eq!(times, 1, "{call} in {calls:#?}");
        }
    }

    #[test]
    #[cfg_attr(
        not(dotnet),
        ignore = "left out: no .NET; `cargo xtask test` sets one up"
    )]
    fn a_csharp_start_hands_over_too() {
        let _watchdog = watchdog();
        for dotnet in Dotnet::all() {
            let pipe = name("single");
            let _leaves = Leaves(&pipe);
            let first = start(&pipe, &[]);
            first.expect("first");
            first.expect(&call(&[]));
            let second = dotnet.example("SingleInstance", &[&pipe, "open", "a file"]);
            second.expect("handed over");
            second.finish();
            first.expect(&call(&["open", "a file"]));
            start(&pipe, &["quit"]).expect("handed over");
            first.finish();

            let (status, _, remarks) = dotnet.example("SingleInstance", &[&pipe, "x"]).end();
            assert_eq!(status.code(), Some(1));
            assert_eq!(remarks, ["The program does not run. Start it first."]);
        }
    }

    #[test]
    fn somebody_who_connects_and_says_nothing_is_not_waited_for_at_the_end() {
        let _watchdog = watchdog();
        let pipe = name("single");
        let _leaves = Leaves(&pipe);
        let first = start(&pipe, &[]);
        first.expect("first");
        let silent = connect(&pipe);
        writeln!(&silent, "no JSON").unwrap();
        start(&pipe, &["quit"]).expect("handed over");
        first.finish();
    }
}

mod progress {
    use super::*;

    /// Enough values to fill whatever room there is.
    const MANY: &str = "50000";
    /// A job that goes on until its test ends it.
    const ENDLESS: &str = "1000000000";

    fn start(pipe: &str, steps: &str, pause: &str) -> Peer {
        let job = Peer::run(PROGRESS, &[pipe, steps, pause]).leaving(pipe);
        job.wait_until_it_waits();
        job
    }

    /// What a reader printed: lines that are whole, and ever newer.
    fn values(lines: &[String], steps: &str) -> Vec<u64> {
        let of = format!(" of {steps}");
        let values: Vec<u64> = lines
            .iter()
            .map(|line| line.strip_suffix(&of).unwrap().parse().unwrap())
            .collect();
        assert!(values.is_sorted_by(|a, b| a < b), "{values:?}");
        values
    }

    #[test]
    fn a_job_ends_without_a_reader_and_with_one_that_never_reads() {
        let _watchdog = watchdog();
        let pipe = name("progress");
        start(&pipe, "100", "0").finish();

        let job = start(&pipe, ENDLESS, "1");
        let mute = connect(&pipe);
        // Somebody else comes later, and hears nothing but new values, long after the first one's room is full.
        let reader = connect(&pipe);
        let mut lines = BufReader::new(&reader).lines();
        let heard: Vec<String> = (0..1000).map(|_| lines.next().unwrap().unwrap()).collect();
        values(&heard, ENDLESS);
        drop(job);

        // And it has no more to wait for at its end than the last value.
        let job = start(&pipe, MANY, "0");
        let silent = connect(&pipe);
        assert_eq!(job.finish(), [format!("{MANY} steps are done")]);
        drop((mute, silent));
    }

    #[test]
    #[cfg_attr(
        not(dotnet),
        ignore = "left out: no .NET; `cargo xtask test` sets one up"
    )]
    fn csharp_hears_the_newest_values_whole_and_the_last_one() {
        let _watchdog = watchdog();
        for dotnet in Dotnet::all() {
            let pipe = name("progress");
            let job = start(&pipe, ENDLESS, "1");
            // Late, and gone again: the job goes on.
            let first = dotnet.example("Progress", &[&pipe, "5"]).finish();
            let second = dotnet.example("Progress", &[&pipe, "5"]).finish();
            let all = [first, second].concat();
            assert_eq!(values(&all, ENDLESS).len(), 10);
            drop(job);
        }
    }

    #[test]
    #[cfg_attr(
        not(dotnet),
        ignore = "left out: no .NET; `cargo xtask test` sets one up"
    )]
    fn a_slow_csharp_reader_skips_values() {
        let _watchdog = watchdog();
        let pipe = name("progress");
        let _job = start(&pipe, ENDLESS, "1");
        let heard = Dotnet::first().example("Progress", &[&pipe, "60", "50"]);
        let values = values(&heard.finish(), ENDLESS);
        assert_eq!(values.len(), 60);
        let (first, last) = (values[0], values[59]);
        assert!(last - first >= 60, "none was left out: {values:?}");
    }

    #[test]
    fn everybody_who_reads_hears_the_last_value() {
        let _watchdog = watchdog();
        const STEPS: &str = "2000";
        let pipe = name("progress");
        let job = start(&pipe, STEPS, "1");
        let (brisk, late) = (connect(&pipe), connect(&pipe));
        // The second one begins to read when the job is done: old values come out of its room, and then the last.
        for stream in [brisk, late] {
            let lines: Result<Vec<String>, _> = BufReader::new(&stream).lines().collect();
            let values = values(&lines.unwrap(), STEPS);
            assert_eq!(values.last(), Some(&2000));
        }
        assert_eq!(job.finish(), [format!("{STEPS} steps are done")]);
    }
}
