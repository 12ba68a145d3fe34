//! Listening, as threads or one system alone have it. What tasks have too is in `both/`.

mod common;

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::{name, pair_on, read_all, timed, watchdog};
use npipe::{ConnectOptions, ListenOptions, PipeListener, PipeStream, Security};

#[test]
fn a_deadline_ends_an_accept_and_the_next_one_can_succeed() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("deadline")).unwrap();
    let soon = Instant::now() + Duration::from_millis(30);
    listener.set_deadline(Some(soon)).unwrap();
    let error = listener.accept().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(Instant::now() >= soon);
    // Past already: nothing is tried.
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
    listener.set_deadline(None).unwrap();
    pair_on(&listener);
    // One that is set while the accept waits.
    thread::scope(|scope| {
        let accept = scope.spawn(|| listener.accept());
        let (error, took) = timed(|| {
            listener.set_deadline(Some(Instant::now())).unwrap();
            accept.join().unwrap().unwrap_err()
        });
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
}

#[test]
fn max_instances_makes_further_clients_wait_until_a_stream_is_dropped() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .max_instances(2)
        .bind(name("most"))
        .unwrap();
    let (first, _first_client) = pair_on(&listener);
    let (second, mut second_client) = pair_on(&listener);
    // A clone is the same stream.
    let first_clone = first.try_clone().unwrap();
    thread::scope(|scope| {
        let third = scope.spawn(|| {
            let mut client = ConnectOptions::new()
                .no_timeout()
                .connect(listener.local_addr().os_path())
                .unwrap();
            client.write_all(b"third").unwrap();
        });
        let soon = || Some(Instant::now() + Duration::from_millis(30));
        listener.set_deadline(soon()).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
        drop(first);
        listener.set_deadline(soon()).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
        listener.set_deadline(None).unwrap();
        let accept = scope.spawn(|| listener.accept().unwrap());
        drop(first_clone);
        let stream = accept.join().unwrap();
        third.join().unwrap();
        assert_eq!(read_all(&stream).unwrap(), b"third");
    });
    second_client.write_all(b"x").unwrap();
    drop(second_client);
    assert_eq!(read_all(&second).unwrap(), b"x");
}

#[cfg(windows)]
#[test]
fn a_backlog_has_a_limit_of_its_own() {
    let _watchdog = watchdog(60);
    let options = ListenOptions::new().backlog(u32::MAX);
    let listener = options.bind(name("backlog")).unwrap();
    assert_eq!(listener.info().unwrap().instances(), Some(1024));
}

#[cfg(not(any(windows, target_os = "linux")))]
#[test]
fn where_there_are_no_messages_it_is_told() {
    let error = ListenOptions::new()
        .message_mode(true)
        .bind(name("mode"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("message boundaries"), "{error}");
}

#[cfg(unix)]
mod unix {
    use super::*;
    use npipe::PipeName;
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    fn path(name: &str) -> PathBuf {
        PipeName::new(name).unwrap().os_path().to_owned()
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let name = name("stale");
        drop(UnixListener::bind(path(&name)).unwrap()); // std leaves its file behind
        assert!(path(&name).exists());
        let listener = PipeListener::bind(&name).unwrap();
        pair_on(&listener);
        drop(listener);
        assert!(!path(&name).exists());
    }

    #[test]
    fn a_live_socket_is_never_touched() {
        let _watchdog = watchdog(60);
        let name = name("live");
        let theirs = UnixListener::bind(path(&name)).unwrap();
        let error = PipeListener::bind(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        // Nor does its server notice: the next one it accepts is the next one that connects.
        let mut client = PipeStream::connect(&name).unwrap();
        client.write_all(b"first").unwrap();
        drop(client);
        assert_eq!(read_all(theirs.accept().unwrap().0).unwrap(), b"first");
        fs::remove_file(path(&name)).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_never_touched() {
        let name = name("file");
        fs::write(path(&name), "precious").unwrap();
        let error = PipeListener::bind(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(error.to_string().contains("not a socket"), "{error}");
        assert_eq!(fs::read_to_string(path(&name)).unwrap(), "precious");
        fs::remove_file(path(&name)).unwrap();

        // Not even one that a link at the place leads to.
        let target = path(&common::name("target"));
        symlink(&target, path(&name)).unwrap();
        let error = PipeListener::bind(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(!target.exists());
        fs::remove_file(path(&name)).unwrap();

        fs::create_dir(path(&name)).unwrap();
        assert_eq!(
            PipeListener::bind(&name).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        fs::remove_dir(path(&name)).unwrap();
    }

    #[test]
    fn only_our_own_file_is_removed() {
        let name = name("own");
        let listener = PipeListener::bind(&name).unwrap();
        // As a .NET server of the same name does, which asks nobody.
        fs::remove_file(path(&name)).unwrap();
        let theirs = UnixListener::bind(path(&name)).unwrap();
        drop(listener);
        assert!(path(&name).exists());
        drop(theirs);
        fs::remove_file(path(&name)).unwrap();
    }

    #[test]
    fn the_socket_has_the_mode_that_was_asked_for() {
        for (security, mode) in [
            (Security::OwnerOnly, 0o600),
            (Security::Everyone, 0o666),
            (Security::Mode(0o660), 0o660),
            (Security::Mode(0o1600), 0o1600),
        ] {
            let name = name("mode");
            let _listener = ListenOptions::new().security(security).bind(&name).unwrap();
            let file = fs::symlink_metadata(path(&name)).unwrap();
            assert!(file.file_type().is_socket());
            assert_eq!(file.permissions().mode() & 0o7777, mode);
        }
    }

    #[test]
    fn what_is_not_unix_is_told_so() {
        let bind = |security| {
            ListenOptions::new()
                .security(security)
                .bind(name("not-unix"))
        };
        let error = bind(Security::Sddl("D:P(A;;GA;;;SY)".into())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("SDDL is Windows's"), "{error}");
        let error = bind(Security::Mode(0o4755)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("0o1777"), "{error}");
    }

    #[test]
    fn a_directory_where_anybody_may_replace_files_is_refused() {
        let directory = std::env::temp_dir().join(name("open"));
        fs::create_dir(&directory).unwrap();
        let socket = directory.join("x.sock");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        let error = PipeListener::bind(&socket).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("chmod +t"), "{error}");
        let bind = || {
            ListenOptions::new()
                .security(Security::OsDefault)
                .bind(&socket)
        };
        drop(bind().unwrap());
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).unwrap();
        drop(PipeListener::bind(&socket).unwrap());
        // Nothing was left in it.
        fs::remove_dir(&directory).unwrap();
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_so() {
        let error = PipeListener::bind("/nowhere-at-all/x.sock").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error.to_string().contains("directory does not exist"),
            "{error}"
        );
    }
}

#[cfg(windows)]
mod windows {
    use super::*;

    #[test]
    fn a_wrong_sddl_says_where() {
        for (sddl, says) in [
            ("", "empty"),
            ("nonsense", "character 1"),
            (
                "D:P(A;;GA;;;SY)(A;;GA;;;NOBODY)",
                r#"character 16: "(A;;GA;;;NOBODY)""#,
            ),
            ("D:P(A;;GA;SY)", "character 4"),
            ("D:P(A;;GA;;;S\0Y)", "NUL"),
        ] {
            let error = ListenOptions::new()
                .security(Security::Sddl(sddl.into()))
                .bind(name("sddl"))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{sddl}: {error}");
            assert!(error.to_string().contains(says), "{sddl}: {error}");
        }
    }

    #[test]
    fn what_is_not_windows_is_told_so() {
        let error = ListenOptions::new()
            .security(Security::Mode(0o600))
            .bind(name("mode"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("0o600"), "{error}");
    }

    #[test]
    fn streams_keep_the_name_after_their_listener() {
        let name = name("outlives");
        let listener = PipeListener::bind(&name).unwrap();
        let (server, client) = pair_on(&listener);
        drop(listener);
        assert_eq!(
            PipeStream::connect(&name).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        drop((server, client));
        PipeListener::bind(&name).unwrap();
    }
}
