//! Listeners as descriptors: for event loops, and made by somebody else (systemd, launchd).

#![cfg(unix)]

mod common;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use common::{name, pair_on, watchdog};
use npipe::{PipeListener, PipeMode, PipeName, PipeStream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

fn is_readable(listener: &PipeListener) -> bool {
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).unwrap() > 0
}

#[test]
fn a_listener_that_was_handed_over_is_served_and_its_file_stays() {
    let _watchdog = watchdog(60);
    let name = PipeName::new(name("handed")).unwrap();
    let made = UnixListener::bind(name.os_path()).unwrap();
    // One came before anybody served it.
    let mut early = PipeStream::connect(&name).unwrap();
    let listener = PipeListener::try_from(OwnedFd::from(made)).unwrap();
    assert_eq!(listener.local_addr(), &name);
    assert_eq!(listener.mode(), PipeMode::Byte);
    early.write_all(b"early").unwrap();
    let mut word = [0; 5];
    listener.accept().unwrap().read_exact(&mut word).unwrap();
    pair_on(&listener);
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(listener);
    assert!(name.os_path().exists());
    fs::remove_file(name.os_path()).unwrap();
}

#[test]
fn what_does_not_listen_is_no_listener() {
    let (one, _other) = UnixStream::pair().unwrap();
    let inet = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let null = fs::File::open("/dev/null").unwrap();
    for fd in [one.into(), inet.into(), null.into()] {
        let fd: OwnedFd = fd;
        let error = PipeListener::try_from(fd).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}

#[test]
fn the_descriptor_of_a_listener_tells_of_clients_and_stays_open_until_it_is_dropped() {
    let _watchdog = watchdog(60);
    let name = name("event-loop");
    let listener = PipeListener::bind(&name).unwrap();
    let held = listener.as_fd();
    assert!(!is_readable(&listener));
    let _client = PipeStream::connect(&name).unwrap();
    assert!(is_readable(&listener));
    let _server = listener.accept().unwrap();
    assert!(!is_readable(&listener));
    listener.close();
    // Borrowed before, it is still a descriptor, and nobody else's.
    assert_eq!(held.as_raw_fd(), listener.as_raw_fd());
    assert!(
        rustix::io::fcntl_getfd(held)
            .unwrap()
            .contains(rustix::io::FdFlags::CLOEXEC)
    );
    // And the name is another's.
    let next = PipeListener::bind(&name).unwrap();
    pair_on(&next);
    assert!(!is_readable(&listener));
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        ErrorKind::ConnectionAborted
    );
}

#[test]
fn clients_in_the_queue_see_the_end_when_the_listener_closes_though_a_clone_is_held() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("queue")).unwrap();
    let clone = listener.try_clone().unwrap();
    let mut client = PipeStream::connect(listener.local_addr()).unwrap();
    thread::scope(|scope| {
        let end = scope.spawn(move || client.read(&mut [0]).unwrap());
        clone.close();
        assert_eq!(end.join().unwrap(), 0);
    });
}

#[test]
fn a_stream_goes_into_a_number_and_back() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("number")).unwrap();
    let (server, mut client) = pair_on(&listener);
    let number = server.into_raw_fd();
    // SAFETY: the number that has just been given away.
    let mut server = unsafe { PipeStream::from_raw_fd(number) };
    assert_eq!(server.local_addr(), listener.local_addr());
    client.write_all(b"x").unwrap();
    server.read_exact(&mut [0]).unwrap();
}
