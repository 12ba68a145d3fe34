//! Each exit code, and the one line that goes with it.

use npipe::PipeListener;

use crate::harness::*;

#[track_caller]
fn fails(args: &[&str], code: i32, parts: &[&str]) {
    let ended = run(args);
    assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
    assert_eq!(ended.text(), "", "stdout carries data alone: {args:?}");
    let line = ended.stderr.trim_end();
    for part in parts {
        assert!(line.contains(part), "{args:?} lacks {part:?}: {line}");
    }
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("npipe: "), "{line}");
}

/// CLI.md's table: 0 done; 1 an I/O failure; 2 wrong usage; 3 no such pipe; 4 timed out; 5 not allowed, or not the expected
/// server; 6 the name is taken. Each of the commands that can end so does, with one line and nothing on stdout.
#[test]
fn each_code_of_each_command() {
    let _watchdog = watchdog();
    let (absent, taken, closes) = (name("absent"), name("taken"), name("closes"));
    let _taken = PipeListener::bind(&taken).unwrap();
    let _closes = server(&closes, 3, drop);
    let other = if cfg!(unix) { "54321" } else { "S-1-5-19" };
    let nowhere = "exec:no-such-program-anywhere";
    let table: &[(i32, &[&str])] = &[
        (0, &["connect", &closes]),
        (0, &["relay", "stdio", &closes]),
        // Wine lists none.
        #[cfg(unix)]
        (0, &["list", "no pipe has this in its name"]),
        (0, &["doctor", "--no-connect", &taken]),
        (0, &["info", &taken]),
        (0, &["help", "connect"]),
        (0, &["man", "connect"]),
        (1, &["relay", "stdio", nowhere]),
        (1, &["connect", nowhere]),
        (1, &["ask", nowhere, "text"]),
        (1, &["ask", &closes, "text"]),
        (2, &["connect"]),
        (2, &["connect", "stdio"]),
        (2, &["ask", "stdio"]),
        (2, &["listen", "tcp:127.0.0.1:80"]),
        (2, &["listen", "--security", "me", &absent]),
        (2, &["relay", &absent, &absent]),
        (2, &["relay", "wrd:x", &absent]),
        (2, &["tap", "stdio", &absent]),
        (2, &["info", "anonymous"]),
        (2, &["list", "--frobnicate"]),
        (2, &["bench", "--time", "0"]),
        (2, &["demo", "--as", "both"]),
        (2, &["help", "frobnicate"]),
        (2, &["man", "frobnicate"]),
        (2, &["completions", "csh"]),
        (3, &["connect", &absent]),
        (3, &["ask", &absent, "text"]),
        (3, &["relay", "stdio", &absent]),
        (3, &["relay", "exec:no-such-program-anywhere", &absent]),
        (3, &["info", &absent]),
        (3, &["info", "--connect", &absent]),
        (3, &["bench", &absent]),
        (4, &["connect", "--wait", "--timeout", "100ms", &absent]),
        (4, &["ask", "--wait", "--timeout", "100ms", &absent, "text"]),
        (
            4,
            &["relay", "--wait", "--timeout", "100ms", "stdio", &absent],
        ),
        (4, &["listen", "-q", "--timeout", "100ms", &absent]),
        (
            4,
            &["listen", "-q", "--echo", "--timeout", "100ms", &absent],
        ),
        (5, &["connect", "--expect-server", other, &taken]),
        (5, &["ask", "--expect-server", other, &taken, "text"]),
        (5, &["relay", "--expect-server", other, "stdio", &taken]),
        (5, &["info", "--connect", "--expect-server", other, &taken]),
        (6, &["listen", &taken]),
        (6, &["listen", "--echo", &taken]),
        (6, &["relay", &taken, &absent]),
        (6, &["tap", &taken, &absent]),
        (6, &["demo", &taken]),
    ];
    for (code, args) in table {
        let ended = run(args);
        assert_eq!(ended.code, Some(*code), "{args:?}: {ended:?}");
        if *code == 0 {
            continue;
        }
        // What bench has measured until then, and what was written before the other side closed, is data.
        if args[0] != "bench" {
            assert_eq!(ended.text(), "", "stdout carries data alone: {args:?}");
        }
        let line = ended.stderr.trim_end();
        assert_eq!(line.lines().count(), 1, "{args:?}: {line}");
        assert!(line.starts_with("npipe: "), "{args:?}: {line}");
    }
}

#[test]
fn wrong_usage_is_2() {
    let _watchdog = watchdog();
    fails(&["connect"], 2, &["<NAME>", "; usage: npipe connect"]);
    fails(
        &["connect", "--timeout", "soon", "x"],
        2,
        &["500ms, 5s, 1m30s"],
    );
    fails(
        &["connect", "anonymous"],
        2,
        &["anonymous", "choose another"],
    );
    fails(&["connect", ""], 2, &["a name is needed"]);
    fails(
        &["listen", "--keep", "--echo", "x"],
        2,
        &["--keep", "--echo"],
    );
    fails(
        &["listen", "--security", "me", "x"],
        2,
        &["owner, everyone"],
    );
    fails(&["relay", "tcp:80", "x"], 2, &["tcp:127.0.0.1:8080"]);
    fails(&["relay", "assuan:x", "x"], 2, &["give it as TO"]);
    fails(&["relay", "x", "exec:"], 2, &["command line"]);
    fails(&["frobnicate"], 2, &["frobnicate"]);
    fails(&["connect", "-foo"], 2, &["'-f'", "; put -- before"]);
    fails(&["-q"], 2, &["no command is given", "--help"]);
    fails(&["conect", "x"], 2, &["'conect'", "'connect'"]);
    #[cfg(unix)]
    fails(
        &["listen", "--security", "D:P(A;;GA;;;OW)", &name("sddl")],
        2,
        &["SDDL is for Windows"],
    );
    #[cfg(windows)]
    fails(
        &["listen", "--security", "0600", &name("mode")],
        2,
        &["permission bits are for Unix"],
    );
}

#[test]
fn no_such_pipe_is_3() {
    let _watchdog = watchdog();
    let name = name("none");
    for args in [["connect", &*name].as_slice(), &["relay", "stdio", &name]] {
        fails(
            args,
            3,
            &["connect", &name, "no such pipe", "--wait", "npipe list"],
        );
    }
    // The port was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    fails(
        &["relay", "stdio", &format!("tcp:127.0.0.1:{port}")],
        3,
        &["nothing listens there"],
    );
}

/// The line is made of the library's sentence, whatever is in the name.
#[cfg(unix)]
#[test]
fn a_name_with_a_semicolon_stays_whole() {
    let _watchdog = watchdog();
    let name = format!("{}; choose another", name("semi"));
    fails(
        &["connect", &name],
        3,
        &[
            &name,
            ": no such pipe: there is no socket at this path; start the server first, or wait for it (--wait)",
        ],
    );
}

#[test]
fn timed_out_is_4() {
    let _watchdog = watchdog();
    let name = name("late");
    let args = ["connect", "--wait", "--timeout", "100ms", &name];
    fails(
        &args,
        4,
        &[&name, "no server came within 100ms", "--timeout"],
    );
    let args = ["connect", "--wait", "--timeout", "0", &name];
    fails(&args, 4, &[&name, "no server came within 0s", "--timeout"]);
}

#[test]
fn the_name_taken_is_6() {
    let _watchdog = watchdog();
    let name = name("taken");
    let _server = PipeListener::bind(&name).unwrap();
    fails(&["listen", &name], 6, &[&name, "choose another name"]);
    fails(&["relay", &name, "stdio"], 6, &[&name]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("tcp:{}", port.local_addr().unwrap());
    fails(
        &["relay", &place, "stdio"],
        6,
        &["listen on ", &place, "; give another port"],
    );
}

#[test]
fn what_has_no_code_of_its_own_is_1() {
    let _watchdog = watchdog();
    #[cfg(unix)]
    fails(
        &["listen", "/no/such/directory/x"],
        1,
        &["its directory does not exist", "create it"],
    );
    fails(
        &["relay", "stdio", "exec:no-such-program-anywhere"],
        1,
        &["no such program", "PATH"],
    );
    let directory = std::env::temp_dir().display().to_string();
    fails(
        &["tap", "--output", &directory, "x", "y"],
        if cfg!(windows) { 5 } else { 1 },
        &["write ", &directory, "; give a file that can be written"],
    );
    // No name that anybody would be asked about.
    fails(
        &["relay", "stdio", "tcp:no..host:1"],
        1,
        &["connect tcp:no..host:1: ", "; see that host and port"],
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_is_no_program_is_5() {
    let _watchdog = watchdog();
    fails(
        &["relay", "exec:/etc/passwd", "exec:/etc/passwd"],
        5,
        &["run \"/etc/passwd\": ", "; give a program that you may run"],
    );
}

/// The library's advice is for programmers; here it is an option.
#[cfg(unix)]
#[test]
fn a_directory_that_is_open_to_all_is_5() {
    use std::os::unix::fs::PermissionsExt;
    let _watchdog = watchdog();
    let directory = std::env::temp_dir().join(name("open-to-all"));
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o777)).unwrap();
    let path = directory.join("x").display().to_string();
    fails(
        &["listen", &path],
        5,
        &[&path, "or take the risk with --allow-shared-directory"],
    );
    std::fs::remove_dir(directory).unwrap();
}

/// Root is let in everywhere: there it takes a second account to show this.
#[cfg(unix)]
#[test]
fn not_allowed_is_5() {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    const NOBODY: u32 = 65534;
    let _watchdog = watchdog();
    let name = name("not-allowed");
    let _server = PipeListener::bind(&name).unwrap();
    let socket = npipe::PipeName::new(&name).unwrap();
    let mut command = npipe(&["connect", &socket.to_string()]);
    let am_root = fs::metadata(socket.os_path()).unwrap().uid() == 0;
    // The directory of the tests need not be open to others. Another program copies it: what another test starts just then
    // would inherit a descriptor of ours that writes to it, and the system starts no file that is open for writing.
    let copy = std::env::temp_dir().join(format!("{name}-binary"));
    if am_root {
        let copied = Command::new("install")
            .args(["-m", "755"])
            .arg(command.get_program())
            .arg(&copy)
            .status();
        assert!(copied.unwrap().success());
        command = {
            let mut theirs = Command::new(&copy);
            theirs
                .args(command.get_args())
                .current_dir("/")
                .uid(NOBODY)
                .gid(NOBODY);
            theirs
        };
    } else {
        fs::set_permissions(socket.os_path(), PermissionsExt::from_mode(0o000)).unwrap();
    }
    let output = command.output().unwrap();
    if am_root {
        fs::remove_file(copy).unwrap();
    }
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{line}");
    if am_root {
        assert!(
            line.contains("does not let this user in") && line.contains("--security everyone"),
            "{line}"
        );
    }
}

#[test]
fn not_the_expected_server_is_5() {
    let _watchdog = watchdog();
    let name = name("whose");
    let _server = PipeListener::bind(&name).unwrap();
    let other = if cfg!(unix) { "54321" } else { "S-1-5-19" };
    fails(
        &["connect", "--expect-server", other, &name],
        5,
        &[&name, "somebody else has taken the name"],
    );
    fails(&["connect", "--expect-server", "somebody", &name], 2, &[]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_expected_server_has_a_name() {
    let _watchdog = watchdog();
    let name = name("whose-name");
    let served = server(&name, 2, drop);
    let me = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    let me = String::from_utf8(me.stdout).unwrap();
    run(&["connect", "--expect-server", me.trim(), &name]).done();
    let other = if me.trim() == "daemon" {
        "root"
    } else {
        "daemon"
    };
    fails(&["connect", "--expect-server", other, &name], 5, &[&name]);
    served.join().unwrap();
}

#[test]
fn a_word_and_a_colon_are_a_scheme() {
    let _watchdog = watchdog();
    let schemes = [
        "there is no ",
        "pipe:NAME",
        "tcp:HOST:PORT",
        "mux:COMMAND LINE",
    ];
    for address in ["tpc:127.0.0.1:80", "TCP-LISTEN:18080,fork", "pip:x"] {
        fails(&["relay", address, "x"], 2, &schemes);
        fails(&["relay", "x", address], 2, &schemes);
        fails(&["tap", "x", address], 2, &schemes);
        fails(&["connect", address], 2, &schemes);
        fails(&["listen", address], 2, &schemes);
    }
    fails(&["listen", "tcp:127.0.0.1:80"], 2, &["takes a pipe"]);
    let name = name("a:colon");
    let colon = format!("pipe:{name}");
    fails(&["connect", &colon], 3, &[&name]);
}

/// As `npiperelay -p` does. What it needs no clock for is not measured: it waits as long as it has to.
#[test]
fn whoever_waits_for_a_server_waits_until_it_comes() {
    let _watchdog = watchdog();
    let name = name("comes-late");
    let client = start(&["connect", "--wait", &name]);
    // Longer than the time for which it tries otherwise.
    assert!(!client.ends_within(std::time::Duration::from_millis(2500)));
    let serving = server(&name, 1, drop);
    client.finish().done();
    serving.join().unwrap();
}

#[test]
fn a_relay_that_leads_back_to_itself_is_2() {
    let _watchdog = watchdog();
    let name = name("back");
    let other = if cfg!(windows) {
        format!(r"\\.\PIPE\{}", name.to_uppercase())
    } else {
        npipe::PipeName::new(&name).unwrap().to_string()
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let tcp = |host: &str| format!("tcp:{host}:{port}");
    for (from, to) in [
        (name.clone(), name.clone()),
        (name.clone(), format!("pipe:{name}")),
        (name, other),
        (tcp("127.0.0.1"), tcp("127.0.0.1")),
        (tcp("0.0.0.0"), tcp("127.0.0.1")),
        #[cfg(unix)] // elsewhere it may be ::1 alone
        (tcp("127.0.0.1"), tcp("localhost")),
        ("stdio".into(), "stdio".into()),
    ] {
        for command in ["relay", "tap"] {
            if command == "tap" && from == "stdio" {
                continue;
            }
            fails(
                &[command, &from, &to],
                2,
                &["leads back", "the server itself"],
            );
        }
    }
}

/// What no name tells: a link that is made while it runs.
#[cfg(unix)]
#[test]
fn a_link_that_leads_a_relay_back_to_itself_is_told() {
    use std::io::Read;
    let _watchdog = watchdog();
    let (from, to) = (name("from"), name("to"));
    let (mut relay, place) = serve(&["relay", &from, &to]);
    let link = npipe::PipeName::new(&to).unwrap();
    std::os::unix::fs::symlink(&place, link.os_path()).unwrap();
    let client = connect(&from);
    relay.wait_said("leads back");
    assert_eq!((&client).read(&mut [0]).unwrap(), 0);
    std::fs::remove_file(link.os_path()).unwrap();
}

/// No advice that would cost somebody a file.
#[cfg(unix)]
#[test]
fn what_is_no_pipe_is_left_alone() {
    let _watchdog = watchdog();
    for (path, what) in [
        ("/etc/passwd", "a file"),
        ("/tmp", "a directory"),
        ("/dev/null", "no pipe"),
    ] {
        for (command, code) in [("connect", 3), ("listen", 6), ("doctor", 3)] {
            let ended = run(&[command, path]);
            assert_eq!(ended.code, Some(code), "{ended:?}");
            let said = format!("{}{}", ended.text(), ended.stderr);
            assert!(
                said.contains(what) && said.contains("give the name of a pipe"),
                "{said}"
            );
            assert!(!said.contains("remove"), "{said}");
        }
    }
}

#[test]
fn numbers_and_times_that_are_none_are_2_and_said_plainly() {
    let _watchdog = watchdog();
    let time = ["is no length of time", "500ms, 5s, 1m30s"];
    fails(&["connect", "--timeout", "-1s", "x"], 2, &time);
    fails(&["listen", "--timeout", "-1", "x"], 2, &time);
    fails(&["bench", "--time", "-1s"], 2, &time);
    fails(&["connect", "--linger", "x", "x"], 2, &time);
    fails(&["bench", "--size", "-1"], 2, &["64, 64k, 1M"]);
    fails(&["bench", "--size", "99999999999"], 2, &["1G at the most"]);
    fails(&["bench", "--block", "2G"], 2, &["1G at the most"]);
    fails(&["listen", "--max-clients", "0", "x"], 2, &["1 or more"]);
    fails(&["listen", "--max-clients", "-1", "x"], 2, &["1 or more"]);
    fails(&["relay", "tcp:127.0.0.1:99999", "x"], 2, &["0 to 65535"]);
}

#[test]
fn advice_is_what_the_command_has() {
    let _watchdog = watchdog();
    let name = name("nobody-echoes");
    let ended = run(&["bench", &name]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("npipe listen --echo"), "{ended:?}");
    assert!(!ended.stderr.contains("--wait"), "{ended:?}");
    let source = run(&["demo", "--csharp", "client", &name]).done();
    assert!(source.text().contains(&format!("@\"{name}\"")));
}

#[cfg(unix)]
#[test]
fn a_tmpdir_in_which_there_can_be_no_pipe_is_told() {
    let _watchdog = watchdog();
    for (place, why) in [
        ("/no/such/directory", "does not exist"),
        ("/dev/null", "is no directory"),
        #[cfg(target_os = "linux")]
        ("/proc", "/proc"),
    ] {
        let mut listen = npipe(&["listen", &name("tmpdir")]);
        listen.env("TMPDIR", place);
        let ended = start_command(listen).finish();
        assert_ne!(ended.code, Some(0));
        let line = ended.stderr.trim_end();
        assert!(
            line.contains(why) && line.contains("; its place comes from TMPDIR: give"),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

/// A system that is out of room is no peer that has closed: whoever was cut short is told without -v.
#[cfg(target_os = "linux")]
#[test]
fn an_error_of_the_system_is_said_without_being_asked_for() {
    let _watchdog = watchdog();
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e"];
    let usable = std::process::Command::new(strace[0])
        .args(["-qq", "-o", "/dev/null", "true"])
        .status()
        .is_ok_and(|status| status.success());
    if !usable {
        // Only a debugger makes the system fail on demand.
        eprintln!("left out: strace is not there, or may trace nothing");
        return;
    }
    let inner = name("cut-short-inner");
    let (_echo, _) = serve(&["listen", "--echo", &inner]);
    let (echo, relay) = (name("cut-short-echo"), name("cut-short-relay"));
    for (args, place) in [
        (&["listen", "--echo", &echo][..], &echo),
        (&["relay", &relay, &inner], &relay),
    ] {
        let real = npipe(args);
        let mut traced = std::process::Command::new(strace[0]);
        traced
            .args(&strace[1..])
            .args(["trace=sendto", "-e", "inject=sendto:error=ENOBUFS:when=3"])
            .arg(real.get_program())
            .args(real.get_args())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut server = start_command(traced);
        server.wait_said("listening on ");
        let client = connect(place);
        let feeding = {
            let client = client.try_clone().unwrap();
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut noise(1, 1_000_000), &mut &client);
                // What is cut short is read to its end, so that the end is none by force.
                let _ = client.close_write();
            })
        };
        let mut back = Vec::new();
        let _ = std::io::Read::read_to_end(&mut &client, &mut back);
        assert!(back.len() < 1_000_000);
        server.wait_said("client 1: ");
        // The one that is traced: its tracer would let it run on. More than once, for what is made to fail may be the call
        // by which its signal handler tells of the signal.
        let id = client.peer_pid().unwrap();
        drop(client);
        feeding.join().unwrap();
        let killed = std::process::Command::new("sh")
            .args([
                "-c",
                &format!("while kill {id} 2>/dev/null; do sleep 0.1; done"),
            ])
            .status();
        assert!(killed.unwrap().success());
        server.wait();
    }
}
