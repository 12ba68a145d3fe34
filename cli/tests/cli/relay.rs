//! `relay`: every pair of addresses, many clients, and clients that do nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use npipe::PipeStream;

use crate::harness::*;

/// A client of a place that `relay` listens at.
enum Client {
    Pipe(PipeStream),
    Tcp(TcpStream),
}

impl Client {
    /// `place` is what npipe said that it listens on.
    fn of(place: &str) -> Client {
        match place.strip_prefix("tcp:") {
            Some(address) => Client::Tcp(TcpStream::connect(address).unwrap()),
            None => Client::Pipe(connect(place)),
        }
    }

    fn try_clone(&self) -> Client {
        match self {
            Client::Pipe(stream) => Client::Pipe(stream.try_clone().unwrap()),
            Client::Tcp(stream) => Client::Tcp(stream.try_clone().unwrap()),
        }
    }

    /// False: this has none.
    fn half_close(&self) -> bool {
        match self {
            Client::Pipe(stream) => stream.close_write().is_ok(),
            Client::Tcp(stream) => stream.shutdown(Shutdown::Write).is_ok(),
        }
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Client::Pipe(stream) => stream.read(buffer),
            Client::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Client::Pipe(stream) => stream.write(bytes),
            Client::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An echo at a place of each kind, and how `relay` is told to go there. A TCP echo answers after the half close too.
fn echo(kind: &str) -> (Option<Running>, String) {
    let npipe = env!("CARGO_BIN_EXE_npipe");
    match kind {
        "pipe" => {
            let name = name("echo");
            let (running, _) = serve(&["listen", "--echo", &name]);
            (Some(running), format!("pipe:{name}"))
        }
        "unix" => {
            let path = std::env::temp_dir()
                .join(name("echo.sock"))
                .display()
                .to_string();
            let (running, _) = serve(&["listen", "--echo", &path]);
            (Some(running), format!("unix:{path}"))
        }
        "tcp" => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    thread::spawn(move || {
                        std::io::copy(&mut stream.try_clone().unwrap(), &mut stream)
                    });
                }
            });
            (None, format!("tcp:{address}"))
        }
        "exec" => {
            let (running, to) = echo("pipe");
            (
                running,
                format!(
                    "exec:'{npipe}' connect {}",
                    to.strip_prefix("pipe:").unwrap()
                ),
            )
        }
        other => panic!("no such kind: {other}"),
    }
}

const LENGTH: u64 = 2_000_000;

/// Sends noise and gets it back; then the end, where both sides can say it.
fn converse(mut client: Client, seed: u64, half_closes: bool) {
    let feeding = feed(client.try_clone(), noise(seed, LENGTH));
    assert_eq!(assert_starts_with(&mut client, noise(seed, LENGTH)), 0);
    feeding.join().unwrap();
    if half_closes && client.half_close() {
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "the end came back");
    }
}

fn to_kinds() -> &'static [&'static str] {
    if cfg!(unix) {
        &["pipe", "unix", "tcp", "exec"]
    } else {
        &["pipe", "tcp", "exec"]
    }
}

/// Windows's byte pipes cannot pass an end on.
fn passes_ends(kind: &str) -> bool {
    cfg!(unix) || kind == "tcp"
}

#[test]
fn every_listening_kind_reaches_every_kind() {
    let _watchdog = watchdog();
    for from in ["pipe", "unix", "tcp"] {
        if from == "unix" && cfg!(windows) {
            continue;
        }
        for to in to_kinds() {
            let (_echo, there) = echo(to);
            let here = match from {
                "pipe" => name("from"),
                "unix" => format!(
                    "unix:{}",
                    std::env::temp_dir().join(name("from.sock")).display()
                ),
                _ => "tcp:127.0.0.1:0".into(),
            };
            let (_relay, place) = serve(&["relay", &here, &there]);
            for seed in 0..2 {
                converse(
                    Client::of(&place),
                    seed,
                    passes_ends(from) && passes_ends(to),
                );
            }
        }
    }
}

#[test]
fn stdio_reaches_every_kind() {
    let _watchdog = watchdog();
    for to in to_kinds() {
        let (_echo, there) = echo(to);
        let mut relay = start(&["relay", "stdio", &there]);
        let stdout = relay.stdout.take().unwrap();
        let stdin = relay.stdin.take().unwrap();
        let feeding = feed(stdin, noise(1, LENGTH));
        if passes_ends(to) {
            assert_is(stdout, noise(1, LENGTH));
            relay.wait().done();
        } else {
            assert_eq!(assert_starts_with(stdout, noise(1, LENGTH)), 0);
        }
        feeding.join().unwrap();
    }
}

#[test]
fn every_kind_reaches_stdio() {
    let _watchdog = watchdog();
    for from in ["pipe", "tcp"] {
        let here = if from == "pipe" {
            name("to-stdio")
        } else {
            "tcp:127.0.0.1:0".into()
        };
        let (mut relay, place) = serve(&["relay", &here, "stdio"]);
        let mut client = Client::of(&place);
        let feeding = [
            feed(client.try_clone(), noise(1, LENGTH)),
            feed(relay.stdin.take().unwrap(), noise(2, LENGTH)),
        ];
        let stdout = relay.stdout.take().unwrap();
        let check = thread::spawn(move || assert_starts_with(stdout, noise(1, LENGTH)));
        assert_eq!(assert_starts_with(&mut client, noise(2, LENGTH)), 0);
        assert_eq!(check.join().unwrap(), 0);
        for feed in feeding {
            feed.join().unwrap();
        }
        drop(client);
        relay.wait().done();
    }
}

#[test]
fn a_program_is_a_client_too() {
    let _watchdog = watchdog();
    let name = name("from-exec");
    let said = server(&name, 1, |mut stream| {
        let mut said = String::new();
        if cfg!(unix) {
            stream.read_to_string(&mut said).unwrap();
        } else {
            let mut bytes = vec![0; "npipe 0.1.0\n".len()];
            stream.read_exact(&mut bytes).unwrap();
            said = String::from_utf8(bytes).unwrap();
        }
        said
    });
    let npipe = env!("CARGO_BIN_EXE_npipe");
    run(&["relay", &format!("exec:'{npipe}' --version"), &name]).done();
    assert_eq!(
        said.join().unwrap(),
        [format!("npipe {}\n", env!("CARGO_PKG_VERSION"))]
    );
}

/// A line of its own on stderr if it is run.
#[test]
fn a_program_is_not_run_for_nobody() {
    let _watchdog = watchdog();
    let npipe = env!("CARGO_BIN_EXE_npipe");
    let ended = run(&[
        "relay",
        &format!("exec:'{npipe}' frobnicate"),
        &name("nobody"),
    ]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

#[test]
fn one_way_alone() {
    let _watchdog = watchdog();
    let behind = name("behind-one-way");
    let listener = npipe::ListenOptions::new()
        .direction(npipe::Direction::Outbound)
        .bind(&behind)
        .unwrap();
    let mut relay = start(&["relay", "--access", "r", "stdio", &behind]);
    let mut server = listener.accept().unwrap();
    // What is there to be sent is left where it is.
    relay.write("unwanted");
    server.write_all(b"over there").unwrap();
    drop(server);
    let ended = relay.wait().done();
    assert_eq!(ended.text(), "over there");

    let heard = server_that_reads(&behind, listener);
    let mut relay = start(&["relay", "--access", "w", "stdio", &behind]);
    relay.write("over there");
    relay.finish().done();
    assert_eq!(heard.join().unwrap(), "over there");
}

/// Of a client that only reads nothing comes that would tell of its end.
#[test]
fn one_way_ends_with_a_client_that_leaves() {
    let _watchdog = watchdog();
    let (front, behind) = (name("front"), name("silent"));
    let listener = npipe::PipeListener::bind(&behind).unwrap();
    let _relay = serve(&["relay", "--access", "r", &front, &behind]);
    let client = connect(&front);
    let mut server = listener.accept().unwrap();
    drop(client);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
}

/// A server whose clients can only write, at a name that has just been another's.
fn server_that_reads(name: &str, before: npipe::PipeListener) -> thread::JoinHandle<String> {
    drop(before);
    let listener = npipe::ListenOptions::new()
        .direction(npipe::Direction::Inbound)
        .bind(name)
        .unwrap();
    thread::spawn(move || {
        let mut heard = String::new();
        listener
            .accept()
            .unwrap()
            .read_to_string(&mut heard)
            .unwrap();
        heard
    })
}

#[test]
fn progress_counts_all_connections() {
    let _watchdog = watchdog();
    let behind = name("behind-progress");
    let served = server(&behind, 2, |mut stream| {
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream.write_all(b"done").unwrap();
    });
    let mut relay = start(&["relay", "--progress", "stdio", &behind]);
    relay.write([0; 1000]);
    let ended = relay.finish().done();
    let last = ended.stderr.lines().last().unwrap();
    assert!(
        last.contains("sent 1000 B") && last.contains("received 4 B"),
        "{last}"
    );

    let front = name("front-progress");
    let (mut tap, _) = serve(&["tap", "--progress", &front, &behind]);
    let mut client = connect(&front);
    client.write_all(&[0; 1000]).unwrap();
    client.read_exact(&mut [0; 4]).unwrap();
    tap.wait_said("sent 1000 B");
    served.join().unwrap();
}

#[test]
fn many_clients_at_once_and_some_that_do_nothing() {
    let _watchdog = watchdog();
    let (_echo, there) = echo("pipe");
    let name = name("many");
    let (mut relay, _) = serve(&["relay", &name, &there]);
    // One never reads what comes back, one never does anything at all.
    let dead = connect(&name);
    let idle = connect(&name);
    let flood = dead.try_clone().unwrap();
    let flooding = thread::spawn(move || {
        let mut flood = flood;
        std::io::copy(&mut noise(0, u64::MAX), &mut flood)
    });
    let clients: Vec<_> = (0..200)
        .map(|seed| {
            let name = name.clone();
            thread::spawn(move || {
                let mut stream = connect(&name);
                let length = 20_000;
                feed(stream.try_clone().unwrap(), noise(seed, length))
                    .join()
                    .unwrap();
                assert_eq!(assert_starts_with(&mut stream, noise(seed, length)), 0);
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    #[cfg(target_os = "linux")]
    {
        let resident = resident(relay.id());
        println!("resident with 200 clients and one that does not read: {resident} KiB");
        assert!(resident < 64 * 1024, "{resident} KiB");
    }
    assert!(relay.is_running());
    drop(idle);
    drop(relay);
    drop(dead);
    let _ = flooding.join().unwrap();
}

/// Two threads for each: one for each way, so that an end that does not read holds up nothing but its own connection.
#[cfg(target_os = "linux")]
#[test]
fn a_thousand_idle_clients_cost_little() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let _watchdog = watchdog();
    const CLIENTS: usize = 1000;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < 8 * CLIENTS as u64) {
        eprintln!("left out: this user may not have enough descriptors");
        return;
    }
    limit.current = limit.maximum.map(|most| most.min(65_536)).or(Some(65_536));
    setrlimit(Resource::Nofile, limit).unwrap();
    let (_echo, there) = echo("pipe");
    let name = name("thousand");
    let (relay, _) = serve(&["relay", &name, &there]);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = connect(&name);
            client.write_all(b"x").unwrap();
            client
        })
        .collect();
    // All of them have been served once.
    for mut client in &clients {
        client.read_exact(&mut [0]).unwrap();
    }
    let (resident, (descriptors, threads)) = (resident(relay.id()), relay.holds());
    println!(
        "with {CLIENTS} idle clients: {resident} KiB resident, {threads} threads, {descriptors} descriptors"
    );
    assert!(resident < 64 * 1024, "{resident} KiB");
    assert!(threads <= 2 * CLIENTS + 4, "{threads} threads");
    drop(clients);
    relay.settles_at_idle();
}

/// The most memory that a process ever had, in KiB.
#[cfg(target_os = "linux")]
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_server_that_is_not_there_costs_its_client_alone() {
    let _watchdog = watchdog();
    let (name, late) = (name("front"), name("late"));
    let (mut relay, _) = serve(&["relay", &name, &late]);
    assert_eq!((&connect(&name)).read(&mut [0]).unwrap(), 0, "turned away");
    relay.wait_said("no such pipe");
    let served = server(&late, 1, |mut stream| {
        stream.write_all(b"here now").unwrap()
    });
    let mut said = String::new();
    (&connect(&name)).read_to_string(&mut said).unwrap();
    assert_eq!(said, "here now");
    served.join().unwrap();
}

#[test]
fn a_client_that_leaves_at_once_is_still_heard() {
    let _watchdog = watchdog();
    let (name, behind) = (name("leaves"), name("behind"));
    let heard = server(&behind, 20, |stream| assert_is(&stream, noise(1, 100_000)));
    let (_relay, _) = serve(&["relay", &name, &behind]);
    for _ in 0..20 {
        std::io::copy(&mut noise(1, 100_000), &mut connect(&name)).unwrap();
    }
    heard.join().unwrap();
}

#[test]
fn a_server_that_goes_ends_its_client() {
    let _watchdog = watchdog();
    for to in ["pipe", "tcp"] {
        let name = name("server-goes");
        let (there, listener) = if to == "tcp" {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            (
                format!("tcp:{}", listener.local_addr().unwrap()),
                Some(listener),
            )
        } else {
            let there = format!("{name}-behind");
            server(&there, 1, |mut stream| stream.write_all(b"all").unwrap());
            (there, None)
        };
        let (_relay, _) = serve(&["relay", &name, &there]);
        let client = connect(&name);
        if let Some(listener) = listener {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"all").unwrap();
        }
        // The client says nothing, and still sees the end.
        let mut said = String::new();
        (&client).read_to_string(&mut said).unwrap();
        assert_eq!(said, "all");
    }
}

#[test]
fn an_assuan_file_leads_to_its_server() {
    let _watchdog = watchdog();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = std::env::temp_dir().join(name("S.gpg-agent"));
    let mut secret = format!("{}\n", listener.local_addr().unwrap().port()).into_bytes();
    secret.extend(b"0123456789\nbcdef");
    std::fs::write(&file, secret).unwrap();
    let mut relay = start(&["relay", "stdio", &format!("assuan:{}", file.display())]);
    let (mut agent, _) = listener.accept().unwrap();
    relay.write("BYE\n");
    let mut heard = [0; 20];
    agent.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"0123456789\nbcdefBYE\n");
    agent.write_all(b"OK closing connection\n").unwrap();
    drop(agent);
    let ended = relay.finish().done();
    assert_eq!(ended.text(), "OK closing connection\n");
    std::fs::remove_file(file).unwrap();
}

/// Whole chains of it, as they stand between WSL and Windows, or over ssh.
#[cfg(unix)]
#[test]
fn a_half_close_passes_through_a_chain_of_programs() {
    let _watchdog = watchdog();
    let npipe = env!("CARGO_BIN_EXE_npipe");
    let (front, behind) = (name("chain"), name("behind-chain"));
    let (_relay, _) = serve(&["relay", &front, &format!("exec:'{npipe}' connect {behind}")]);
    let served = server(&behind, 2, |mut stream| {
        // The server's end first, then the client's.
        stream.write_all(b"that is all from here").unwrap();
        stream.close_write().unwrap();
        assert_is(&stream, noise(1, 1_000_000));
    });
    for _ in 0..2 {
        let mut client = connect(&front);
        let mut said = String::new();
        client.read_to_string(&mut said).unwrap();
        assert_eq!(said, "that is all from here");
        std::io::copy(&mut noise(1, 1_000_000), &mut client).unwrap();
        drop(client);
    }
    served.join().unwrap();
}

/// What a server of one connection sees, that does nothing about the end of it: how long until the pipe is closed.
fn ignores_the_end(stream: PipeStream) -> Duration {
    let mut said = [0; 5];
    (&stream).read_exact(&mut said).unwrap();
    assert_eq!(&said, b"hello");
    let began = Instant::now();
    // A half close of Unix; Windows has none, and waits here.
    let _ = (&stream).read(&mut [0]);
    while stream.is_connected().unwrap() && began.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(10));
    }
    began.elapsed()
}

#[test]
fn a_tcp_client_that_has_gone_is_gone_for_a_server_that_ignores_its_end() {
    let _watchdog = watchdog();
    let name = name("ignores");
    let served = server(&name, 4, ignores_the_end);
    let (relay, place) = serve(&["relay", "tcp:127.0.0.1:0", &name]);
    let address = place.strip_prefix("tcp:").unwrap();
    for _ in 0..4 {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        drop(client);
    }
    for took in served.join().unwrap() {
        assert!(took < Duration::from_secs(12), "{took:?}");
    }
    #[cfg(target_os = "linux")]
    relay.settles_at_idle();
    drop(relay);
}

#[test]
fn a_tcp_client_that_has_half_closed_gets_a_late_answer() {
    let _watchdog = watchdog();
    let name = name("late-answer");
    let served = server(&name, 1, |stream| {
        let mut said = [0; 5];
        (&stream).read_exact(&mut said).unwrap();
        // Longer than an end takes; on Windows as long as a quiet client is waited for, and not longer.
        thread::sleep(Duration::from_secs(if cfg!(unix) { 7 } else { 3 }));
        (&stream).write_all(b"the answer").unwrap();
    });
    let (_relay, place) = serve(&["relay", "tcp:127.0.0.1:0", &name]);
    let mut client = TcpStream::connect(place.strip_prefix("tcp:").unwrap()).unwrap();
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "the answer");
    served.join().unwrap();
}

#[test]
fn linger_ends_so_long_after_the_last_byte() {
    let _watchdog = watchdog();
    let name = name("linger");
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let served = server(&name, 1, move |stream| {
        let mut said = [0; 4];
        (&stream).read_exact(&mut said).unwrap();
        (&stream).write_all(b"the answer\n").unwrap();
        // It keeps the connection, as servers do.
        let _ = wait.recv();
    });
    let mut ask = start(&["connect", "--linger", "300ms", &name]);
    ask.write("ask\n");
    let ended = ask.finish().done();
    assert_eq!(ended.text(), "the answer\n");
    drop(go_on);
    served.join().unwrap();
}

/// With few descriptors those who are served stay, and the others wait until one of them has left.
#[cfg(unix)]
#[test]
fn out_of_descriptors_nobody_is_cut_off() {
    let _watchdog = watchdog();
    const CLIENTS: usize = 40;
    let echo = name("few-echo");
    let (_echo, _) = serve(&["listen", "--echo", &echo]);
    for (limit, args) in [
        (40, &["listen", "--echo", "NAME"][..]),
        (41, &["listen", "--echo", "NAME"]),
        (50, &["relay", "NAME", "ECHO"]),
        (60, &["listen", "NAME", "--exec", "cat"]),
        (60, &["relay", "NAME", "exec:cat"]),
    ] {
        let name = name("few");
        let args: Vec<_> = args
            .iter()
            .map(|&arg| match arg {
                "NAME" => name.as_str(),
                "ECHO" => echo.as_str(),
                arg => arg,
            })
            .collect();
        let mut limited = std::process::Command::new("sh");
        limited
            .args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_npipe"))
            .args(&args)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut server = start_command(limited);
        server.wait_said("listening on ");
        let clients: Vec<_> = (0..CLIENTS).map(|_| connect(&name)).collect();
        for client in &clients {
            { client }.write_all(b"here").unwrap();
        }
        server.wait_said("others wait");
        for (number, client) in clients.into_iter().enumerate() {
            let mut back = [0; 4];
            { &client }
                .read_exact(&mut back)
                .unwrap_or_else(|e| panic!("{args:?} {limit}: client {number}: {e}"));
            assert_eq!(&back, b"here");
        }
        assert!(server.is_running());
    }
}

#[test]
fn whoever_starts_it_learns_that_it_listens() {
    let _watchdog = watchdog();
    let (front, behind) = (name("ready"), name("behind-ready"));
    let (_echo, _) = serve(&["listen", "--echo", &behind]);
    let file = std::env::temp_dir().join(name("ready-file"));
    let path = file.to_str().unwrap();
    let _relay = start(&["relay", "-q", "--ready-file", path, &front, &behind]);
    while !std::fs::read_to_string(&file).is_ok_and(|place| place.ends_with('\n')) {
        std::thread::yield_now();
    }
    // It is there: nobody has to wait for it.
    PipeStream::connect(&front).unwrap();
    let place = std::fs::read_to_string(&file).unwrap();
    assert!(place.contains(&front), "{place}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn in_the_background_it_goes_on_when_who_started_it_has_ended() {
    let _watchdog = watchdog();
    let (front, behind) = (name("detached"), name("behind-detached"));
    let (came, has_come) = std::sync::mpsc::channel();
    let served = server(&behind, 1, move |stream| {
        (&stream).read_exact(&mut [0; 1]).unwrap();
        came.send(()).unwrap();
        // As long as its client is there.
        (&stream).read(&mut [0; 1]).unwrap_or(0)
    });
    // Windows hands our pipes down to the one in the background, too: nobody is to wait for their ends there.
    let detach = || {
        let mut relay = npipe(&["relay", "-v", "--detach", &front, &behind]);
        if cfg!(windows) {
            let nowhere = std::process::Stdio::null;
            relay.stdin(nowhere()).stdout(nowhere()).stderr(nowhere());
        }
        relay.output().unwrap()
    };
    assert!(detach().status.success());
    let client = PipeStream::connect(&front).unwrap();
    (&client).write_all(b"x").unwrap();
    has_come.recv().unwrap();
    // Another cannot have its name, and says so.
    let taken = detach();
    assert_eq!(taken.status.code(), Some(6), "{taken:?}");
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(cfg!(windows) || said.contains(&front), "{said}");
    let id = client.peer_pid().unwrap();
    let ended = if cfg!(windows) {
        std::process::Command::new("taskkill")
            .args(["/F", "/PID", &id.to_string()])
            .output()
    } else {
        std::process::Command::new("sh")
            .args(["-c", &format!("kill {id}")])
            .output()
    };
    assert!(ended.unwrap().status.success());
    drop(client);
    served.join().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn systemd_is_told() {
    let _watchdog = watchdog();
    let socket = std::env::temp_dir().join(name("notify"));
    let told = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    let mut relay = npipe(&["relay", "-q", &name("notified"), &name("behind")]);
    relay.env("NOTIFY_SOCKET", &socket);
    let _relay = start_command(relay);
    let mut word = [0; 64];
    let length = told.recv(&mut word).unwrap();
    assert_eq!(&word[..length], b"READY=1");
    std::fs::remove_file(socket).unwrap();
}

/// `./x.sock` is found from here, wherever a path from the root is taken.
#[cfg(unix)]
#[test]
fn relative_paths_lead_from_where_one_is() {
    let _watchdog = watchdog();
    let directory = std::env::temp_dir().join(name("relative"));
    std::fs::create_dir_all(directory.join("inner")).unwrap();
    let here = |args: &[&str], at: &str| {
        let mut command = npipe(args);
        command.current_dir(directory.join(at));
        start_command(command)
    };
    let mut echo = here(&["listen", "--echo", "./x.sock"], "");
    echo.wait_said("x.sock");
    let mut relay = here(&["relay", "unix:front.sock", "../x.sock"], "inner");
    relay.wait_said("inner/front.sock");
    for (args, at) in [
        (&["ask", "./x.sock", "hello"][..], ""),
        (&["ask", "../x.sock", "hello"], "inner"),
        (&["ask", "unix:front.sock", "hello"], "inner"),
        (&["ask", "pipe:./x.sock", "hello"], ""),
    ] {
        let ended = here(args, at).finish().done();
        assert_eq!(ended.text(), "hello\n", "{args:?}");
    }
    for command in ["info", "doctor"] {
        here(&[command, "./x.sock"], "").finish().done();
    }
    drop((echo, relay));
    std::fs::remove_dir_all(directory).unwrap();
}
