//! The sockets under the pipes: what is left on them, what a stranger sends, and what happens where descriptors are short.

#![cfg(unix)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use common::{name, pair, pair_on, read_all, role, spawn_role, timed, watchdog};
use npipe::{ConnectOptions, ListenOptions, PipeListener, PipeStream};
use rustix::net::sockopt::{Timeout, socket_timeout};

/// Whether a child that gets this as its stdout finds an ordinary socket.
fn is_untouched(stream: &PipeStream) -> bool {
    let timeouts = [Timeout::Send, Timeout::Recv];
    let flags = rustix::fs::fcntl_getfl(stream).unwrap();
    timeouts
        .iter()
        .all(|&which| socket_timeout(stream, which).unwrap().is_none())
        && !flags.contains(rustix::fs::OFlags::NONBLOCK)
}

#[test]
fn nothing_of_ours_stays_on_a_socket() {
    let _watchdog = watchdog(60);
    let token = npipe::CancelToken::new();
    let options = [
        ConnectOptions::new(),
        ConnectOptions::new().no_timeout(),
        ConnectOptions::new().cancel(&token),
    ];
    for options in options {
        let listener = PipeListener::bind(name("untouched")).unwrap();
        let client = options.connect(listener.local_addr()).unwrap();
        let server = listener.accept().unwrap();
        assert!(is_untouched(&client), "{options:?}");
        assert!(is_untouched(&server), "{options:?}");
    }
}

/// A pair of which each end has read and written under a deadline that is far away.
fn under_a_deadline() -> (PipeListener, PipeStream, PipeStream) {
    let (listener, mut server, mut client) = pair("far");
    for stream in [&server, &client] {
        stream
            .set_deadline(Some(Instant::now() + Duration::from_secs(60)))
            .unwrap();
    }
    client.write_all(&[1]).unwrap();
    server.read_exact(&mut [0]).unwrap();
    server.write_all(&[2]).unwrap();
    client.read_exact(&mut [0]).unwrap();
    (listener, server, client)
}

#[test]
fn nothing_of_a_deadline_stays_on_a_socket_that_others_get() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = under_a_deadline();
    assert!(is_untouched(&client));
    let socket = OwnedFd::from(server);
    for which in [Timeout::Send, Timeout::Recv] {
        assert_eq!(socket_timeout(&socket, which).unwrap(), None);
    }
}

#[test]
fn the_one_owner_of_a_stream_is_held_to_its_deadline_in_time() {
    let _watchdog = watchdog(60);
    let (_listener, _server, mut client) = under_a_deadline();
    for wait in [50, 300].map(Duration::from_millis) {
        client.set_deadline(Some(Instant::now() + wait)).unwrap();
        let (error, took) = timed(|| client.read(&mut [0]).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(took + Duration::from_millis(2) >= wait, "{took:?}");
        assert!(took < wait + Duration::from_secs(5), "{took:?}");
    }
    let wait = Duration::from_millis(2500);
    client.set_deadline(Some(Instant::now() + wait)).unwrap();
    let (error, took) = timed(|| client.write_all(&vec![1; 4 << 20]).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(took + Duration::from_millis(2) >= wait, "{took:?}");
    assert!(took < wait + Duration::from_secs(8), "{took:?}");
}

#[test]
fn a_forked_childs_copy_takes_no_deadline_away() {
    let _watchdog = watchdog(60);
    let (_listener, _server, mut client) = under_a_deadline();
    // SAFETY: the child makes a system call or two, and ends.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", std::io::Error::last_os_error()),
        0 => {
            client.as_raw_fd();
            // SAFETY: it ends at once.
            unsafe { libc::_exit(0) }
        }
        // SAFETY: the child of the line above.
        child => assert_eq!(unsafe { libc::waitpid(child, &mut 0, 0) }, child),
    }
    let wait = Duration::from_millis(400);
    client.set_deadline(Some(Instant::now() + wait)).unwrap();
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
}

#[test]
fn nothing_of_ours_stays_on_a_socket_that_waited_for_room() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .backlog(1)
        .bind(name("waited"))
        .unwrap();
    let once = ConnectOptions::new().timeout(Duration::ZERO);
    let mut early = Vec::new();
    while let Ok(client) = once.connect(listener.local_addr()) {
        early.push(client);
    }
    let token = npipe::CancelToken::new();
    for options in [ConnectOptions::new(), ConnectOptions::new().cancel(&token)] {
        let options = options.timeout(Duration::from_secs(30));
        thread::scope(|scope| {
            let late = scope.spawn(|| options.connect(listener.local_addr()).unwrap());
            // It has to wait: the queue is full, as one more that does not wait is told.
            assert!(once.connect(listener.local_addr()).is_err());
            early.push(listener.accept().unwrap());
            assert!(is_untouched(&late.join().unwrap()), "{options:?}");
        });
    }
}

#[test]
fn peek_tells_that_the_end_is_next() {
    let _watchdog = watchdog(60);
    for message_mode in [false, true] {
        if message_mode && !cfg!(target_os = "linux") {
            continue;
        }
        let options = ListenOptions::new().message_mode(message_mode);
        let listener = options.bind(name("peek-end")).unwrap();
        let (server, client) = pair_on(&listener);
        assert!(!server.peek().unwrap().ended);
        (&client).write_all(b"last").unwrap();
        if message_mode {
            drop(client);
        } else {
            client.close_write().unwrap();
        }
        let peek = server.peek().unwrap();
        assert_eq!((peek.available, peek.ended), (4, false));
        (&server).read_exact(&mut [0; 4]).unwrap();
        for _ in 0..3 {
            assert!(server.peek().unwrap().ended, "message mode: {message_mode}");
        }
        assert_eq!((&server).read(&mut [0; 4]).unwrap(), 0);
    }
    // One that goes with something unread is an end as well.
    let (_listener, server, client) = pair("peek-reset");
    (&server).write_all(b"unread").unwrap();
    drop(client);
    assert!(server.peek().unwrap().ended);
    assert_eq!((&server).read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(
        server.wait_drained().unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

#[cfg(target_os = "linux")]
mod strangers {
    use super::*;
    use crate::common::said;
    use rustix::net::{AddressFamily, SendFlags, SocketType};

    /// A message pipe whose client sends what it likes.
    fn stranger(what: &str) -> (PipeListener, PipeStream, OwnedFd) {
        let options = ListenOptions::new().message_mode(true);
        let listener = options.bind(name(what)).unwrap();
        let client = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        let path = listener.local_addr().os_path();
        let address = rustix::net::SocketAddrUnix::new(path).unwrap();
        rustix::net::connect(&client, &address).unwrap();
        (
            listener.try_clone().unwrap(),
            listener.accept().unwrap(),
            client,
        )
    }

    fn send(client: &OwnedFd, announced: u64, bytes: &[u8]) {
        let packet = [&announced.to_le_bytes(), bytes].concat();
        rustix::net::send(client, &packet, SendFlags::empty()).unwrap();
    }

    #[test]
    fn counts_that_cannot_be_are_invalid_data_and_cost_nothing() {
        let _watchdog = watchdog(60);
        for announced in [u64::MAX, u64::MAX / 2, 1 << 40, 1 << 32] {
            let (_listener, server, client) = stranger("count");
            send(&client, announced, b"x");
            let error = server.peek().unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidData,
                "{announced:x}: {error}"
            );
            let mut message = Vec::new();
            let error = server.recv(&mut message).unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidData,
                "{announced:x}: {error}"
            );
            assert!(
                message.capacity() < 1 << 16,
                "{announced:x}: {}",
                message.capacity()
            );
        }
    }

    #[test]
    fn room_is_made_for_what_has_come_and_not_for_what_was_announced() {
        let _watchdog = watchdog(60);
        let (_listener, server, client) = stranger("room");
        send(&client, 60 << 20, b"x");
        let mut message = Vec::new();
        let limit = Some(Duration::from_millis(50));
        server.set_read_timeout(limit).unwrap();
        let error = server.recv(&mut message).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert_eq!(message, b"x");
        assert!(message.capacity() < 1 << 16, "{}", message.capacity());
        // More than the limit is refused as soon as it is known.
        let (_listener, server, client) = stranger("limit");
        send(&client, (64 << 20) + 1, b"x");
        let error = server.recv(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        assert!(said(&error).contains("max_message_size"), "{error}");
    }

    #[test]
    fn an_empty_packet_is_no_end_while_the_peer_is_there() {
        let _watchdog = watchdog(60);
        let (_listener, server, client) = stranger("empty");
        rustix::net::send(&client, &[], SendFlags::empty()).unwrap();
        assert_eq!(server.peek().unwrap_err().kind(), ErrorKind::InvalidData);
        let error = server.recv(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        // Nor with data behind it, when the peer has gone: so the kernel tells of an end that it saw too early.
        rustix::net::send(&client, &[], SendFlags::empty()).unwrap();
        send(&client, 3, b"abc");
        drop(client);
        let mut message = Vec::new();
        assert_eq!(server.recv(&mut message).unwrap(), Some(3));
        assert_eq!(server.recv(&mut message).unwrap(), None);
    }

    #[test]
    fn two_equal_messages_do_not_become_one_when_the_first_times_out_half_way() {
        let _watchdog = watchdog(60);
        let options = ListenOptions::new().message_mode(true);
        let listener = options.bind(name("equal")).unwrap();
        let (server, client) = pair_on(&listener);
        let message = vec![7; 1 << 20];
        let limit = Some(Duration::from_millis(50));
        client.set_write_timeout(limit).unwrap();
        for _ in 0..2 {
            let error = client.send(&message).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            assert!(said(&error).contains("all later writes"), "{error}");
        }
        client.close_write().unwrap();
        let error = server.recv(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
        assert_eq!(server.recv(&mut Vec::new()).unwrap_or(None), None);
    }
}

/// Takes every descriptor that there is, and gives them back on drop.
struct Short(Vec<OwnedFd>);

impl Short {
    fn new() -> Short {
        let mut taken = Vec::new();
        while let Ok(one) = std::io::stdin().as_fd().try_clone_to_owned() {
            taken.push(one);
        }
        Short(taken)
    }
}

#[test]
fn where_descriptors_are_short_streams_go_on_and_clients_stay_in_the_queue() {
    let _watchdog = watchdog(120);
    if role().is_none() {
        // In a process of its own, whose descriptors nobody else needs.
        let mut child = spawn_role("short");
        assert!(child.0.wait().unwrap().success());
        return;
    }
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).unwrap();

    let listener = PipeListener::bind(name("short")).unwrap();
    let connect = || PipeStream::connect(listener.local_addr()).unwrap();
    let (first, second) = (connect(), connect());
    let server = listener.accept().unwrap();
    let mut short = Short::new();
    // A stream that was handed out can wait, and is moved by a deadline and by data.
    let now = Instant::now();
    let soon = Some(now + Duration::from_millis(50));
    server.set_read_deadline(soon).unwrap();
    let error = (&server).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    server
        .set_read_deadline(Some(now + Duration::from_secs(60)))
        .unwrap();
    thread::scope(|scope| {
        let read = scope.spawn(|| (&server).read(&mut [0]));
        (&first).write_all(b"x").unwrap();
        assert_eq!(read.join().unwrap().unwrap(), 1);
        let read = scope.spawn(|| timed(|| (&server).read(&mut [0])));
        server.set_read_deadline(Some(Instant::now())).unwrap();
        let (read, took) = read.join().unwrap();
        assert_eq!(read.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(took < Duration::from_secs(10), "{took:?}");
    });
    // The second client is told of by whoever accepts, and is not lost.
    for _ in 0..3 {
        let error = listener.accept().unwrap_err();
        assert_eq!(error.raw_os_error_inside(), Some(libc::EMFILE), "{error}");
    }
    let spun = listener
        .incoming()
        .take_while(|_| now.elapsed() < Duration::from_secs(1));
    let spun = spun.inspect(|item| assert!(item.is_err())).count();
    assert!(spun < 50, "{spun} errors in a second");
    (&second).write_all(b"still here").unwrap();
    drop(second);
    short.0.clear();
    assert_eq!(read_all(listener.accept().unwrap()).unwrap(), b"still here");
    // Another is waited for without a descriptor to be woken by, and the close is seen.
    short = Short::new();
    thread::scope(|scope| {
        let accept = scope.spawn(|| listener.accept().unwrap_err());
        listener.close();
        assert_eq!(accept.join().unwrap().kind(), ErrorKind::ConnectionAborted);
    });
    drop(short);
}

/// The system's number that is behind an error.
trait Inside {
    fn raw_os_error_inside(&self) -> Option<i32>;
}

impl Inside for std::io::Error {
    fn raw_os_error_inside(&self) -> Option<i32> {
        npipe::PipeError::of(self)?.os_error()
    }
}

#[test]
fn a_descriptor_of_a_stream_is_its_own() {
    let (_listener, server, client) = pair("own");
    let number = server.as_raw_fd();
    assert!(number >= 0);
    let socket = OwnedFd::from(server);
    assert_eq!(socket.as_raw_fd(), number);
    drop(socket);
    assert_eq!((&client).read(&mut [0]).unwrap(), 0);
}
