//! What a program meets that was written for `UnixListener` and `UnixStream`.

use std::io::ErrorKind;
#[cfg(unix)]
use std::io::Read;
use std::thread;
#[cfg(unix)]
use std::time::Duration;

use npipe::{PipeError, PipeListener, PipeStream};

use crate::common::{name, watchdog};
use crate::std_after;
#[cfg(unix)]
use crate::std_before;

/// Lets one of the guide's servers answer one of its clients.
fn talk(
    name: &str,
    serve: fn(&str) -> std::io::Result<()>,
    ask: fn(&str, &str) -> std::io::Result<String>,
) {
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(name));
        assert_eq!(ask(name, "hello").unwrap(), "you said hello\n");
        server.join().unwrap().unwrap();
    });
}

#[test]
fn the_program_after_the_move_talks() {
    let _watchdog = watchdog(60);
    talk(&name("after"), std_after::serve, std_after::ask);
}

/// A path that nothing is at.
#[cfg(unix)]
fn path(what: &str) -> String {
    let path = std::env::temp_dir().join(name(what));
    path.to_str().unwrap().to_owned()
}

#[cfg(unix)]
#[test]
fn the_program_before_the_move_talks_with_the_one_after_it() {
    let _watchdog = watchdog(60);
    talk(&path("before"), std_before::serve, std_before::ask);
    talk(&path("served"), std_before::serve, std_after::ask);
    talk(&path("asked"), std_after::serve, std_before::ask);
}

#[cfg(unix)]
#[test]
fn a_timeout_is_timed_out_where_std_says_would_block() {
    use std::os::unix::net::UnixStream;
    let _watchdog = watchdog(60);
    let soon = Some(Duration::from_millis(20));
    let (mut theirs, _peer) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(soon).unwrap();
    let error = theirs.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    let (mut ours, _peer) = PipeStream::pair().unwrap();
    ours.set_read_timeout(soon).unwrap();
    let error = ours.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
}

/// That of a socket whose server is gone, and nobody at all.
#[cfg(unix)]
#[test]
fn a_dead_socket_is_not_found_where_std_says_connection_refused() {
    use npipe::Reason;
    use std::os::unix::net::{UnixListener, UnixStream};
    let _watchdog = watchdog(60);
    let path = path("dead");
    drop(UnixListener::bind(&path).unwrap());
    let error = UnixStream::connect(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    let error = PipeStream::connect(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let inside = PipeError::of(&error).unwrap();
    assert_eq!(inside.reason(), Reason::StaleSocket, "{error}");
    assert_eq!(
        inside.os_error(),
        Some(rustix::io::Errno::CONNREFUSED.raw_os_error()),
        "{error}"
    );
    // std's listener is refused by the file that its own kind left, and ours replaces it and takes it along.
    let error = UnixListener::bind(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
    drop(PipeListener::bind(&path).unwrap());
    assert!(!std::fs::exists(&path).unwrap());
}

#[test]
fn the_number_of_the_system_is_inside_the_error() {
    let _watchdog = watchdog(60);
    let error = PipeStream::connect(name("nobody")).unwrap_err();
    assert_eq!(error.raw_os_error(), None, "{error}");
    assert_eq!(PipeError::of(&error).unwrap().os_error(), Some(2));
}

#[test]
fn both_ends_have_the_address_of_the_pipe() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("address")).unwrap();
    let client = PipeStream::connect(listener.local_addr()).unwrap();
    let server: PipeStream = listener.accept().unwrap();
    for end in [&server, &client] {
        assert_eq!(end.local_addr(), listener.local_addr());
        assert_eq!(end.peer_addr(), listener.local_addr());
    }
}

/// std's reads still bring what had come before; ours look at nothing any more.
#[cfg(unix)]
#[test]
fn what_has_come_before_a_shutdown_of_reads_is_not_read() {
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;
    let _watchdog = watchdog(60);
    let (mut theirs, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"!").unwrap();
    theirs.shutdown(Shutdown::Read).unwrap();
    if cfg!(target_os = "linux") {
        assert_eq!(theirs.read(&mut [0]).unwrap(), 1);
    }
    let (mut ours, mut peer) = PipeStream::pair().unwrap();
    peer.write_all(b"!").unwrap();
    ours.shutdown(Shutdown::Read).unwrap();
    assert_eq!(ours.read(&mut [0]).unwrap(), 0);
}

#[cfg(unix)]
#[test]
fn limits_do_not_go_along_with_the_descriptor() {
    use rustix::fs::{OFlags, fcntl_getfl};
    use std::os::unix::net::UnixStream;
    let (ours, _peer) = PipeStream::pair().unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    ours.set_nonblocking(true).unwrap();
    let theirs = UnixStream::from(ours);
    assert_eq!(theirs.read_timeout().unwrap(), None);
    assert!(!fcntl_getfl(&theirs).unwrap().contains(OFlags::NONBLOCK));
}

/// `Path::exists` opens the pipe, and the server has a client; `npipe::state` does not.
#[cfg(windows)]
#[test]
fn a_look_at_the_path_of_a_pipe_is_a_client() {
    use std::time::Duration;
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("looked-at")).unwrap();
    npipe::state(listener.local_addr()).unwrap();
    let error = listener.accept_timeout(Duration::from_millis(100));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
    // Wine says that it does not exist, and has opened it all the same.
    let _ = listener.local_addr().os_path().exists();
    listener.accept_timeout(Duration::from_secs(30)).unwrap();
}
