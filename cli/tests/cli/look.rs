//! `list`, `info` and `doctor`: what they find, and that looking opens nothing.

use npipe::PipeListener;
use serde_json::Value;

use crate::harness::*;

/// Wine 10 cannot list pipes; what depends on it is run by Windows itself.
#[cfg(windows)]
fn cannot_list() -> bool {
    npipe::list().is_err()
}

#[cfg(unix)]
fn cannot_list() -> bool {
    false
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(run(args).done().text()).unwrap()
}

#[test]
#[cfg_attr(windows, ignore = "left out: Wine 10 cannot list pipes")]
fn list_shows_a_pipe_and_opens_none() {
    let _watchdog = watchdog();
    let name = name("listed");
    let listener = PipeListener::bind(&name).unwrap();
    let listed = json(&["list", "--json", &name.to_uppercase()]);
    assert_eq!(listed[0]["name"], *name);
    assert_eq!(listed[0]["state"], "live");
    assert!(listed[0]["path"].as_str().unwrap().contains(&name));
    let text = run(&["list", &name]).done();
    assert!(text.text().starts_with(&name), "{text:?}");
    let info = json(&["info", "--json", &name]);
    assert_eq!(
        (&info["state"], &info["connected"]),
        (&"live".into(), &false.into())
    );
    // A server would notice: whoever opens its pipe is a client.
    listener
        .set_deadline(Some(
            std::time::Instant::now() + std::time::Duration::from_millis(1),
        ))
        .unwrap();
    let noticed = listener.accept().map(|_| ());
    assert_eq!(noticed.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    drop(listener);
    let none = run(&["list", &name]).done();
    assert_eq!(none.text(), "");
    assert!(none.stderr.contains("no such pipes"), "{none:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn list_says_who_serves_each() {
    let _watchdog = watchdog();
    let name = name("served");
    let (server, _) = serve(&["listen", "--echo", &name]);
    let listed = json(&["list", "--json", &name]);
    assert_eq!(listed[0]["server_pid"], server.id());
    let program = listed[0]["server_program"].as_str().unwrap();
    assert!(program.ends_with("npipe"), "{listed}");
    assert!(listed[0]["owner"]["uid"].is_u64(), "{listed}");
    assert_eq!(listed[0]["server_user"], listed[0]["owner"]);
    let text = run(&["list", &name]).done();
    let who = format!("{} npipe (", server.id());
    assert!(text.text().contains(&who), "{text:?}");
}

#[test]
#[cfg_attr(windows, ignore = "left out: Wine 10 cannot list pipes")]
fn list_watch_tells_of_each_that_comes_and_goes() {
    let _watchdog = watchdog();
    let name = name("watched");
    let there = PipeListener::bind(format!("{name}-there")).unwrap();
    let mut list = start(&["list", "--watch", "--json", &name]);
    let mut next = || -> Value { serde_json::from_str(&list.read_line()).unwrap() };
    let event = next();
    assert_eq!(event["event"], "there", "{event}");
    let come = PipeListener::bind(format!("{name}-come")).unwrap();
    loop {
        let event = next();
        if event["event"] == "come" {
            assert_eq!(event["name"], format!("{name}-come"));
            break;
        }
    }
    drop(come);
    // A server that is about to end may be seen at it.
    while {
        let event = next();
        event["event"] != "gone" || event["name"] != format!("{name}-come")
    } {}
    drop(there);
}

#[cfg(unix)]
#[test]
fn list_prune_removes_dead_sockets_and_no_others() {
    let _watchdog = watchdog();
    let name = name("pruned");
    let (mut live, dead) = (format!("{name}-live"), format!("{name}-dead"));
    let _live = PipeListener::bind(&live).unwrap();
    let place = npipe::PipeName::new(&dead).unwrap();
    // What a killed server leaves: a socket that nobody has.
    drop(std::os::unix::net::UnixListener::bind(place.os_path()).unwrap());
    let listed = json(&["list", "--json", &name]);
    let states: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["state"])
        .collect();
    assert_eq!(states, ["stale", "live"]);
    let pruned = json(&["list", "--prune", "--json", &name]);
    assert_eq!(pruned[0]["name"], dead);
    assert_eq!(pruned.as_array().unwrap().len(), 1);
    assert!(!place.os_path().exists());
    let left = json(&["list", "--json", &name]);
    assert_eq!(left[0]["name"], std::mem::take(&mut live));
    let again = run(&["list", "--prune", &name]).done();
    assert!(again.stderr.contains("nothing was removed"), "{again:?}");
}

#[cfg(windows)]
#[test]
fn there_is_nothing_to_prune() {
    let _watchdog = watchdog();
    let ended = run(&["list", "--prune"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[test]
fn where_pipes_cannot_be_listed_it_says_so() {
    let _watchdog = watchdog();
    if cannot_list() {
        let ended = run(&["list"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(
            ended.stderr.starts_with("npipe: list ") && ended.stderr.contains("npipe info NAME"),
            "{ended:?}"
        );
    } else {
        run(&["list"]).done();
    }
}

#[cfg(unix)]
#[test]
fn a_directory_of_pipes_that_is_not_there_is_told() {
    let _watchdog = watchdog();
    let mut list = npipe(&["list"]);
    list.env("TMPDIR", "/no/such/directory");
    let ended = start_command(list).finish();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in ["list /no/such/directory/: ", "TMPDIR", "unset it"] {
        assert!(ended.stderr.contains(part), "{ended:?}");
    }
}

#[test]
fn info_that_connects_tells_more() {
    let _watchdog = watchdog();
    let name = name("info");
    let served = server(&name, 2, drop);
    let info = json(&["info", "--connect", "--json", &name]);
    assert_eq!(info["name"], *name);
    assert_eq!(info["state"], "live");
    assert_eq!(info["connected"], true);
    assert_eq!(info["mode"], "byte");
    assert_eq!(info["server_pid"], std::process::id());
    let (user, owner) = (&info["server_user"], &info["owner"]);
    if cfg!(windows) {
        assert!(user["sid"].is_string(), "{info}");
        let owner = owner["sid"].as_str().unwrap();
        let permissions = info["permissions"].as_str().unwrap();
        assert!(permissions.starts_with(&format!("O:{owner}")), "{info}");
    } else {
        assert!(user["uid"].is_u64(), "{info}");
        assert_eq!(user, owner);
    }
    let text = run(&["info", "--connect", &name]).done();
    assert!(text.text().contains("mode              byte\n"), "{text:?}");
    assert_eq!(text.stderr, "");
    served.join().unwrap();
}

#[test]
fn info_of_nothing_is_3() {
    let _watchdog = watchdog();
    let ended = run(&["info", "--connect", &name("nothing")]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let ended = run(&["info", &name("nothing")]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("npipe doctor"), "{ended:?}");
}

#[test]
fn info_knows_a_live_pipe_without_connecting() {
    let _watchdog = watchdog();
    let name = name("info-live");
    let _listener = PipeListener::bind(&name).unwrap();
    let info = json(&["info", "--json", &name]);
    assert_eq!(info["state"], "live");
    assert_eq!(info["connected"], false);
}

#[cfg(target_os = "linux")]
#[test]
fn linux_tells_the_server_without_connecting() {
    let _watchdog = watchdog();
    let name = name("info-linux");
    let _listener = PipeListener::bind(&name).unwrap();
    let info = json(&["info", "--json", &name]);
    assert_eq!(info["connected"], false);
    assert_eq!(info["mode"], "byte");
    assert_eq!(info["permissions"], "0600");
    assert_eq!(info["server_pid"], std::process::id());
}

#[track_caller]
fn doctor(args: &[&str], code: i32, parts: &[&str]) {
    let args: Vec<_> = ["doctor"].iter().chain(args).copied().collect();
    let ended = run(&args);
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for part in parts {
        assert!(
            ended.text().contains(part),
            "lacks {part:?}:\n{}",
            ended.text()
        );
    }
    for line in ended.text().lines() {
        assert!(
            ["ok   ", "bad  ", "->   "]
                .iter()
                .any(|mark| line.starts_with(mark)),
            "{line}"
        );
    }
    assert_eq!(ended.stderr, "");
}

#[test]
fn doctor_finds_a_healthy_pipe_healthy() {
    let _watchdog = watchdog();
    let name = name("healthy");
    let served = server(&name, 1, drop);
    let pid = format!("process {}", std::process::id());
    doctor(
        &[&name],
        0,
        &["its server takes connections", "byte pipe", &pid],
    );
    served.join().unwrap();
}

#[test]
fn doctor_tells_the_wrong_mode() {
    let _watchdog = watchdog();
    let name = name("byte");
    let served = server(&name, 1, drop);
    doctor(
        &[&name, "--message"],
        2,
        &[
            "bad  it is a byte pipe",
            "->   let the server make a message pipe",
        ],
    );
    served.join().unwrap();
}

#[test]
fn doctor_knows_names_that_are_none() {
    let _watchdog = watchdog();
    doctor(&["anonymous"], 2, &["bad  pipe name", "choose another"]);
    #[cfg(unix)]
    doctor(&[r"\\server\pipe\x"], 2, &["another machine"]);
}

#[test]
fn doctor_of_nothing_says_what_to_do() {
    let _watchdog = watchdog();
    doctor(&[&name("q")], 3, &["nobody listens there"]);
}

#[cfg(unix)]
#[test]
fn doctor_shows_names_that_look_alike() {
    let _watchdog = watchdog();
    let name = name("look-alike");
    let _listener = PipeListener::bind(&name).unwrap();
    doctor(&[&name[..name.len() - 1]], 3, &["look alike", &name]);
}

#[cfg(unix)]
#[test]
fn doctor_finds_what_unix_can_do_to_a_pipe() {
    use std::os::unix::net::UnixListener;
    let _watchdog = watchdog();
    let directory = std::env::temp_dir().join(name("doctor"));
    std::fs::create_dir(&directory).unwrap();
    let path = |file: &str| directory.join(file).display().to_string();

    drop(UnixListener::bind(path("stale")).unwrap());
    doctor(&[&path("stale")], 3, &["its server is gone"]);

    std::fs::write(path("file"), "").unwrap();
    doctor(&[&path("file")], 3, &["a file", "no pipe", "give the name"]);
    doctor(&[&path("")], 3, &["a directory", "no pipe"]);
    let _datagrams = std::os::unix::net::UnixDatagram::bind(path("datagrams")).unwrap();
    doctor(&[&path("datagrams")], 3, &["for datagrams", "->   "]);

    std::os::unix::fs::symlink(path("nothing"), path("link")).unwrap();
    doctor(
        &[&path("link")],
        3,
        &["a link to", &path("nothing"), "is not there"],
    );

    doctor(&[&path("none/x")], 3, &["is not there"]);

    // A server with another TMPDIR, as Linux lists it.
    if cfg!(target_os = "linux") {
        let name = name("tmpdir");
        let _listener = UnixListener::bind(path(&format!("CoreFxPipe_{name}"))).unwrap();
        doctor(&[&name], 3, &["another TMPDIR", &path("CoreFxPipe_")]);
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn doctor_tells_the_wrong_server_apart() {
    let _watchdog = watchdog();
    let name = name("whose-doctor");
    let _listener = PipeListener::bind(&name).unwrap();
    let other = if cfg!(unix) { "54321" } else { "S-1-5-19" };
    doctor(
        &[&name, "--expect-server", other],
        5,
        &["somebody else has taken the name"],
    );
}

/// As the C# of the notes is.
#[test]
fn doctor_says_what_it_costs_a_server_of_one_client() {
    let _watchdog = watchdog();
    let name = name("one-shot");
    let (listen, _) = serve(&["listen", &name]);
    let looked = run(&["doctor", "--no-connect", &name]).done();
    assert!(
        looked.text().contains("not been connected to"),
        "{looked:?}"
    );
    doctor(
        &[&name],
        0,
        &["connecting: ", "takes connections", "start it again"],
    );
    listen.finish().done();
    // One that goes on is told apart.
    let _listener = PipeListener::bind(&name).unwrap();
    doctor(&[&name], 0, &["the server still listens"]);
}

#[test]
fn info_of_nothing_has_its_json() {
    let _watchdog = watchdog();
    let name = name("absent");
    let ended = run(&["info", "--json", &name]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let known: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(known["state"], "absent");
    assert_eq!(known["name"], name);
}
