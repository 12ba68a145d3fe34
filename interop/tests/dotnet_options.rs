//! What .NET can ask of a pipe, with the library at the other end: directions, its own user alone, the client's name,
//! a drained pipe, a client cut off, and writers that send their mark first.

#[cfg(windows)]
use std::io::Read;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::time::Duration;

use npipe::{
    Access, ConnectOptions, Direction, ExpectServer, ImpersonationLevel, ListenOptions,
    PipeListener, PipeStream,
};
use npipe_interop::{Dotnet, Peer, hear, name, read_to_the_end, watchdog};

fn bind(options: &ListenOptions) -> PipeListener {
    options.bind(name("options")).unwrap()
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn what_goes_towards_dotnet_alone() {
    let _watchdog = watchdog();
    let dotnet = Dotnet::first();
    let words = ["direction=In", "hear", "hear"];
    let check = |(peer, stream): (Peer, PipeStream)| {
        writeln!(&stream, "that way").unwrap();
        peer.expect("heard that way");
        drop(stream);
        peer.expect("heard the end");
        peer.finish();
    };
    for access in [Access::ReadWrite, Access::Write] {
        check(dotnet.serves_to(&ConnectOptions::new().access(access), &words));
    }
    for direction in [Direction::Outbound, Direction::Duplex] {
        let listener = bind(&ListenOptions::new().direction(direction));
        check(dotnet.connects(&listener, &words));
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn what_comes_from_dotnet_alone() {
    let _watchdog = watchdog();
    let dotnet = Dotnet::first();
    let words = ["direction=Out", "say=this way", "close"];
    let check = |(peer, stream): (Peer, PipeStream)| {
        assert_eq!(hear(&mut BufReader::new(&stream)), "this way");
        assert_eq!(read_to_the_end(&stream), b"");
        peer.expect("closed");
        peer.finish();
    };
    for access in [Access::ReadWrite, Access::Read] {
        check(dotnet.serves_to(&ConnectOptions::new().access(access), &words));
    }
    for direction in [Direction::Inbound, Direction::Duplex] {
        let listener = bind(&ListenOptions::new().direction(direction));
        check(dotnet.connects(&listener, &words));
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn the_wrong_way_is_an_error_and_no_wait() {
    let _watchdog = watchdog();
    let dotnet = Dotnet::first();
    // Windows knows by the handle that this end cannot; on a socket that end says so.
    let wrong_way = |stream: &PipeStream| {
        let error = (&mut &*stream).write(b"against it").unwrap_err();
        let kinds = [ErrorKind::PermissionDenied, ErrorKind::BrokenPipe];
        assert!(kinds.contains(&error.kind()), "{error}");
    };
    let words = ["direction=Out", "say=this way", "pause"];
    let (mut peer, stream) = dotnet.serves(&words);
    assert_eq!(hear(&mut BufReader::new(&stream)), "this way");
    wrong_way(&stream);
    peer.go();
    peer.finish();
    let listener = bind(&ListenOptions::new().direction(Direction::Inbound));
    let (mut peer, stream) = dotnet.connects(&listener, &words);
    assert_eq!(hear(&mut BufReader::new(&stream)), "this way");
    wrong_way(&stream);
    peer.go();
    peer.finish();
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn current_user_only_of_dotnet_and_ours_admit_each_other() {
    let _watchdog = watchdog();
    let words = ["current-user", "say=mine", "hear"];
    let check = |(peer, stream): (Peer, PipeStream)| {
        assert_eq!(hear(&mut BufReader::new(&stream)), "mine");
        writeln!(&stream, "ours").unwrap();
        peer.expect("heard ours");
        peer.finish();
    };
    let ours = ConnectOptions::new().expect_server(ExpectServer::CurrentUser);
    let only_ours = ListenOptions::new().current_user_clients_only(true);
    for dotnet in Dotnet::all() {
        // Our defaults, then our own checks beside .NET's.
        check(dotnet.serves(&words));
        check(dotnet.serves_to(&ours, &words));
        check(dotnet.connects(&bind(&ListenOptions::new()), &words));
        check(dotnet.connects(&bind(&only_ours), &words));
        // And ours alone. (Of a pipe that was given no security Wine tells no owner.)
        if cfg!(not(windows)) {
            check(dotnet.serves_to(&ours, &words[1..]));
        }
        check(dotnet.connects(&bind(&only_ours), &words[1..]));
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn dotnet_knows_our_client_and_acts_as_it() {
    let _watchdog = watchdog();
    // Windows lets a server do so only after it has read something.
    let words = ["hear", "me", "user", "as-client", "me"];
    let options = ConnectOptions::new().impersonation(ImpersonationLevel::Impersonation);
    let (peer, stream) = Dotnet::first().serves_to(&options, &words);
    writeln!(&stream, "it is me").unwrap();
    peer.expect("heard it is me");
    let me = peer.line().unwrap();
    let user = me.strip_prefix("me ").unwrap();
    assert!(!user.is_empty());
    peer.expect(&format!("user {user}"));
    peer.expect(&me);
    peer.expect(&me);
    peer.finish();
}

#[test]
#[cfg(windows)] // elsewhere .NET does not have it
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn dotnet_waits_until_we_have_read_everything() {
    let _watchdog = watchdog();
    let dotnet = Dotnet::first();
    let words = ["write=20000", "drain", "hear"];
    let listener = bind(&ListenOptions::new());
    for (peer, stream) in [
        dotnet.connects(&listener, &words),
        dotnet.serves(&[&["out=65536"], &words[..]].concat()),
    ] {
        peer.expect("wrote 20000");
        let mut got = vec![0; 20_000];
        BufReader::new(&stream).read_exact(&mut got).unwrap();
        assert!(got == npipe_interop::pattern(20_000));
        peer.expect("drained");
        writeln!(&stream, "all of it").unwrap();
        peer.expect("heard all of it");
        peer.finish();
    }
}

#[test]
#[cfg(any(windows, target_os = "linux"))] // elsewhere the system does not tell what has been read
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn we_wait_until_dotnet_has_read_everything() {
    let _watchdog = watchdog();
    let dotnet = Dotnet::first();
    let words = ["pause", "read=20000", "pause"];
    let listener = bind(&ListenOptions::new());
    for (mut peer, mut stream) in [
        dotnet.connects(&listener, &words),
        dotnet.serves(&[&["in=65536"], &words[..]].concat()),
    ] {
        stream.write_all(&npipe_interop::pattern(20_000)).unwrap();
        let soon = std::time::Instant::now() + Duration::from_millis(100);
        stream.set_write_deadline(Some(soon)).unwrap();
        let error = stream.wait_drained().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        stream.set_write_deadline(None).unwrap();
        peer.go();
        stream.wait_drained().unwrap();
        peer.expect("read 20000");
        peer.go();
        peer.finish();
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_dotnet_server_disconnects_us_and_we_come_again() {
    let _watchdog = watchdog();
    let pipe = name("cut");
    let server = Dotnet::first()
        .peer(&[
            "serve",
            &pipe,
            "in=4096",
            "hear",
            "disconnect",
            "accept",
            "hear",
            "disconnect",
            "accept",
            "hear",
            "say=welcome back",
        ])
        .leaving(&pipe);
    server.expect("ready");
    for round in 0..3 {
        let stream = ConnectOptions::new()
            .timeout(Duration::from_secs(30))
            .connect(&pipe)
            .unwrap();
        server.expect("connected");
        writeln!(&stream, "round {round}").unwrap();
        server.expect(&format!("heard round {round}"));
        let mut reader = BufReader::new(&stream);
        if round < 2 {
            server.expect("disconnected");
            assert_eq!(hear(&mut reader), "");
            let error = (&stream).write(b"too late").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        } else {
            assert_eq!(hear(&mut reader), "welcome back");
        }
    }
    server.finish();
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn we_disconnect_a_dotnet_client_and_it_comes_again() {
    let _watchdog = watchdog();
    let listener = bind(&ListenOptions::new());
    for _ in 0..3 {
        let (client, stream) = Dotnet::first().connects(&listener, &["say=here", "hear"]);
        assert_eq!(hear(&mut BufReader::new(&stream)), "here");
        stream.disconnect().unwrap();
        client.expect("heard the end");
        client.finish();
    }
}

/// What `new StreamWriter(pipe, Encoding.UTF8)` sends before anything else, in a write of its own.
const MARK: &str = "\u{feff}";

fn hear_after_the_mark(reader: &mut impl BufRead) -> String {
    let line = hear(reader);
    let line = line.strip_prefix(MARK);
    line.expect("a mark comes first").to_owned()
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_dotnet_server_without_buffers_that_writes_its_mark_first_does_not_deadlock() {
    let _watchdog = watchdog();
    let words = ["bom", "writer", "hear", "say=Hello from C#", "hear"];
    for dotnet in Dotnet::all() {
        // The example, which writes first.
        let pipe = name("mark");
        let server = dotnet
            .peer(&[&["serve", &pipe], &words[..]].concat())
            .leaving(&pipe);
        server.expect("ready");
        let client = Peer::run(env!("CARGO_BIN_EXE_rust-client"), &[&pipe]);
        server.expect("connected");
        server.expect("heard Hello from Rust");
        server.expect("heard Rust is done");
        assert_eq!(client.finish(), ["Hello from C#"]);
        server.finish();

        // And one that writes a mark of its own before, as .NET would, to a server that greets before it listens.
        let words = [&["bom", "say=Welcome"], &words[2..]].concat();
        for mark in ["", MARK] {
            let (server, mut stream) = dotnet.serves(&words);
            stream.write_all(mark.as_bytes()).unwrap();
            stream.write_all(b"Hello from Rust\n").unwrap();
            server.expect("heard Hello from Rust");
            let mut reader = BufReader::new(&stream);
            assert_eq!(hear_after_the_mark(&mut reader), "Welcome");
            assert_eq!(hear(&mut reader), "Hello from C#");
            writeln!(&stream, "done").unwrap();
            server.expect("heard done");
            server.finish();
        }
    }
}

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_server_of_ours_without_buffers_and_a_dotnet_client_may_both_write_first() {
    let _watchdog = watchdog();
    let options = ListenOptions::new()
        .input_buffer_size(0)
        .output_buffer_size(0);
    let listener = bind(&options);
    for dotnet in Dotnet::all() {
        let words = ["bom", "writer", "hear", "say=Hello from C#"];
        let (client, mut stream) = dotnet.connects(&listener, &words);
        stream.write_all(MARK.as_bytes()).unwrap();
        stream.write_all(b"Hello from Rust\n").unwrap();
        client.expect("heard Hello from Rust");
        let mut reader = BufReader::new(&stream);
        assert_eq!(hear_after_the_mark(&mut reader), "Hello from C#");
        client.finish();
    }
}
