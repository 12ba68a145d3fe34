//! What is inside an error: the reason, the operation, the pipe, the system's number, and one sentence for people.

mod common;

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use common::{name, pair, watchdog};
use npipe::{
    Access, CancelToken, ConnectOptions, ExpectServer, ListenOptions, PipeError, PipeListener,
    PipeStream, Reason, Security,
};

/// An error with what is expected of it: its kind, its reason and its operation.
type Case = (&'static str, io::Error, ErrorKind, Reason, &'static str);

fn cases() -> Vec<Case> {
    let listener = PipeListener::bind(name("reason")).unwrap();
    let address = listener.local_addr().clone();
    let client = PipeStream::connect(&address).unwrap();
    let server = listener.accept().unwrap();
    let fail = |result: io::Result<usize>| result.unwrap_err();
    let mut cases: Vec<Case> = Vec::new();

    let error = PipeListener::bind(&address).unwrap_err();
    cases.push((
        "bound twice",
        error,
        ErrorKind::AddrInUse,
        Reason::NameTaken,
        "bind",
    ));
    let error = PipeStream::connect(name("nobody")).unwrap_err();
    cases.push((
        "no server",
        error,
        ErrorKind::NotFound,
        Reason::NoSuchPipe,
        "connect",
    ));
    let error = ConnectOptions::new()
        .wait_for_server(true)
        .timeout(Duration::from_millis(1))
        .connect(name("never"))
        .unwrap_err();
    cases.push((
        "none came",
        error,
        ErrorKind::TimedOut,
        Reason::NoServerCame,
        "connect",
    ));
    let token = CancelToken::new();
    token.cancel();
    let error = ConnectOptions::new()
        .wait_for_server(true)
        .cancel(&token)
        .connect(name("never"))
        .unwrap_err();
    cases.push((
        "cancelled",
        error,
        ErrorKind::ConnectionAborted,
        Reason::Cancelled,
        "connect",
    ));
    let full = ListenOptions::new().backlog(1).bind(name("full")).unwrap();
    let mut waiting = Vec::new();
    let error = loop {
        let options = ConnectOptions::new().timeout(Duration::from_millis(50));
        match options.connect(full.local_addr()) {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
    };
    cases.push(("busy", error, ErrorKind::TimedOut, Reason::Busy, "connect"));
    let somebody_else = if cfg!(windows) {
        ExpectServer::Sid("S-1-5-7".into()) // anonymous, who owns no pipe
    } else {
        ExpectServer::Uid(54321)
    };
    let error = ConnectOptions::new()
        .expect_server(somebody_else)
        .connect(&address)
        .unwrap_err();
    cases.push((
        "another server",
        error,
        ErrorKind::PermissionDenied,
        Reason::UnexpectedServer,
        "connect",
    ));
    let error = PipeStream::connect("").unwrap_err();
    cases.push((
        "no name",
        error,
        ErrorKind::InvalidInput,
        Reason::WrongName,
        "pipe name",
    ));
    let error = ListenOptions::new()
        .backlog(0)
        .bind(name("none"))
        .unwrap_err();
    cases.push((
        "an option",
        error,
        ErrorKind::InvalidInput,
        Reason::WrongOption,
        "bind",
    ));
    let elsewhere = if cfg!(windows) {
        Security::Mode(0o600)
    } else {
        Security::Sddl("D:P(A;;GA;;;OW)".into())
    };
    let error = ListenOptions::new()
        .security(elsewhere)
        .bind(name("elsewhere"))
        .unwrap_err();
    cases.push((
        "another system's",
        error,
        ErrorKind::Unsupported,
        Reason::NotHere,
        "bind",
    ));
    let writer = ConnectOptions::new()
        .access(Access::Write)
        .connect(&address)
        .unwrap();
    let error = fail((&writer).read(&mut [0]));
    cases.push((
        "the other way",
        error,
        ErrorKind::PermissionDenied,
        Reason::WrongDirection,
        "read from",
    ));

    client.set_read_deadline(Some(Instant::now())).unwrap();
    let error = fail((&client).read(&mut [0]));
    cases.push((
        "a deadline",
        error,
        ErrorKind::TimedOut,
        Reason::DeadlinePassed,
        "read from",
    ));
    client.set_read_deadline(None).unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(2)))
        .unwrap();
    let error = fail((&client).read(&mut [0]));
    assert!(error.to_string().contains("read timeout of 2ms"), "{error}");
    cases.push((
        "a timeout",
        error,
        ErrorKind::TimedOut,
        Reason::DeadlinePassed,
        "read from",
    ));
    let error = client.send(b"?").unwrap_err();
    cases.push((
        "a byte pipe",
        error,
        ErrorKind::Unsupported,
        Reason::WrongMode,
        "write to",
    ));
    let error = client.disconnect().unwrap_err();
    cases.push((
        "a client",
        error,
        ErrorKind::InvalidInput,
        Reason::WrongRole,
        "disconnect",
    ));
    client.set_nonblocking(true).unwrap();
    let error = fail((&client).read(&mut [0]));
    cases.push((
        "non-blocking",
        error,
        ErrorKind::WouldBlock,
        Reason::WouldBlock,
        "read from",
    ));
    client.shutdown(Shutdown::Both).unwrap();
    let error = fail((&client).write(b"?"));
    cases.push((
        "shut down",
        error,
        ErrorKind::BrokenPipe,
        Reason::HalfClosed,
        "write to",
    ));
    drop(client);
    let error = loop {
        match (&server).write_all(b"?") {
            Ok(()) => {} // it may take a moment until the end has come
            Err(error) => break error,
        }
    };
    cases.push((
        "the peer left",
        error,
        ErrorKind::BrokenPipe,
        Reason::PeerClosed,
        "write to",
    ));
    listener.close();
    let error = listener.accept().unwrap_err();
    cases.push((
        "closed",
        error,
        ErrorKind::ConnectionAborted,
        Reason::Closed,
        "accept",
    ));
    cases
}

#[test]
fn every_error_has_a_reason_and_is_a_sentence() {
    let _watchdog = watchdog(60);
    for (what, error, kind, reason, operation) in cases() {
        assert_eq!(error.kind(), kind, "{what}: {error}");
        let inside = PipeError::of(&error).unwrap();
        assert_eq!(inside.reason(), reason, "{what}: {error}");
        assert_eq!(inside.operation(), operation, "{what}: {error}");
        let sentence = error.to_string();
        assert!(
            sentence.starts_with(&format!("{operation} {}: ", inside.pipe())),
            "{what}: {sentence}"
        );
        // What a `main` that returns it prints.
        let debug = format!("{error:?}");
        assert!(debug.contains(&sentence), "{what}: {debug}");
        assert!(!debug.contains("PipeError {"), "{what}: {debug}");
        // The system's own error or nothing, never the sentence again.
        match inside.source() {
            None => assert_eq!(inside.os_error(), None, "{what}"),
            Some(source) => {
                let source = source.downcast_ref::<io::Error>().unwrap();
                assert!(source.raw_os_error().is_some(), "{what}: {source:?}");
                assert_eq!(inside.os_error(), source.raw_os_error(), "{what}");
            }
        }
    }
}

#[test]
fn no_error_of_anybody_elses_is_one_of_ours() {
    assert!(PipeError::of(&io::Error::from(ErrorKind::NotFound)).is_none());
    assert!(PipeError::of(&io::Error::other("something")).is_none());
}

#[test]
fn the_systems_error_is_the_source() {
    let _watchdog = watchdog(60);
    let error = PipeStream::connect(name("nobody")).unwrap_err();
    let code = PipeError::of(&error).unwrap().os_error();
    assert_eq!(code, Some(2), "ENOENT, ERROR_FILE_NOT_FOUND: {error}");
    let (_listener, server, client) = pair("source");
    drop(server);
    let error = (&client).write_all(&[0; 1 << 20]).unwrap_err();
    assert!(error.source().is_none() || PipeError::of(&error).is_some());
    assert!(
        PipeError::of(&error).unwrap().os_error().is_some(),
        "{error}"
    );
}
