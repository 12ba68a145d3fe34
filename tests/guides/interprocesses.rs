//! What a program meets that was written for interprocess.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::Duration;

use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{GenericFilePath, Listener, ListenerOptions, Name, Stream};
use npipe::{PipeListener, PipeName, PipeStream};

use crate::common::{name, watchdog};
use crate::{interprocess_after, interprocess_before};

/// A path that both libraries take for the same place, on every system.
fn path(what: &str) -> String {
    PipeName::new(name(what)).unwrap().to_string()
}

fn theirs(path: &str) -> Name<'_> {
    path.to_fs_name::<GenericFilePath>().unwrap()
}

fn listen(path: &str) -> Listener {
    ListenerOptions::new()
        .name(theirs(path))
        .create_sync()
        .unwrap()
}

/// Lets one of the guide's servers answer one of its clients.
fn talk(path: &str, serve: fn(&str) -> io::Result<()>, ask: fn(&str, &str) -> io::Result<String>) {
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(path));
        while npipe::state(path).is_err() && !server.is_finished() {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(ask(path, "hello").unwrap(), "you said hello\n");
        server.join().unwrap().unwrap();
    });
}

#[test]
fn the_programs_before_and_after_the_move_talk_with_each_other() {
    let _watchdog = watchdog(60);
    type Program = (
        fn(&str) -> io::Result<()>,
        fn(&str, &str) -> io::Result<String>,
    );
    let before: Program = (interprocess_before::serve, interprocess_before::ask);
    let after: Program = (interprocess_after::serve, interprocess_after::ask);
    for (serve, _) in [before, after] {
        for (_, ask) in [before, after] {
            talk(&path("move"), serve, ask);
        }
    }
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_dead_socket_is_connection_refused_there_and_not_found_here() {
        let _watchdog = watchdog(60);
        let path = path("dead");
        let options = ListenerOptions::new().name(theirs(&path));
        drop(options.reclaim_name(false).create_sync().unwrap());
        let error = Stream::connect(theirs(&path)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        let error = PipeStream::connect(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let options = ListenerOptions::new().name(theirs(&path));
        let error = options.create_sync().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        drop(PipeListener::bind(&path).unwrap());
    }

    #[test]
    fn a_live_socket_is_taken_over_there_if_asked_for_and_never_here() {
        let _watchdog = watchdog(60);
        let path = path("live");
        let first = PipeListener::bind(&path).unwrap();
        let error = PipeListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        let options = ListenerOptions::new().name(theirs(&path));
        let second = options.try_overwrite(true).create_sync().unwrap();
        let _client = PipeStream::connect(&path).unwrap();
        second.accept().unwrap();
        // The file is not the first one's any more, which leaves it alone.
        drop(first);
        assert!(std::fs::exists(&path).unwrap());
    }

    #[test]
    fn the_umask_says_who_may_connect_there_and_the_owner_alone_may_here() {
        let _watchdog = watchdog(60);
        let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (open, closed) = (path("open"), path("closed"));
        let _theirs = listen(&open);
        let _ours = PipeListener::bind(&closed).unwrap();
        assert_eq!(mode(&closed), 0o600);
        let plain = path("plain");
        let _plain = UnixListener::bind(&plain).unwrap();
        assert_eq!(mode(&open), mode(&plain), "as the umask has it");
        std::fs::remove_file(&plain).unwrap();
    }

    #[test]
    fn a_peer_that_closes_with_bytes_unread_is_a_reset_there_and_the_end_here() {
        let _watchdog = watchdog(60);
        let path = path("unread");
        let listener = listen(&path);
        let client = Stream::connect(theirs(&path)).unwrap();
        let server = listener.accept().unwrap();
        (&client).write_all(b"unread").unwrap();
        drop(server);
        let end = (&client).read(&mut [0]);
        if cfg!(target_os = "linux") {
            assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
        let client = PipeStream::connect(&path).unwrap();
        let server = listener.accept().unwrap();
        (&client).write_all(b"unread").unwrap();
        drop(server);
        assert_eq!((&client).read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_timeout_is_would_block_there_and_timed_out_here() {
        let _watchdog = watchdog(60);
        let path = path("timeout");
        let soon = Some(Duration::from_millis(20));
        let listener = listen(&path);
        let client = PipeStream::connect(&path).unwrap();
        let server = listener.accept().unwrap();
        server.set_recv_timeout(soon).unwrap();
        let error = (&server).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        client.set_read_timeout(soon).unwrap();
        let error = (&client).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }

    /// So a program of npipe's does not meet it: nothing is at the path, and nothing under the name.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_namespaced_name_is_no_file() {
        use interprocess::local_socket::GenericNamespaced;
        let _watchdog = watchdog(60);
        let plain = name("abstract");
        let namespaced = plain.as_str().to_ns_name::<GenericNamespaced>().unwrap();
        let options = ListenerOptions::new().name(namespaced);
        let _listener = options.create_sync().unwrap();
        let error = PipeStream::connect(&plain).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(!std::fs::exists(std::env::temp_dir().join(&plain)).unwrap());
    }
}

#[cfg(windows)]
mod windows {
    use super::*;
    use interprocess::local_socket::GenericNamespaced;
    use std::io::{Read, Write};

    #[test]
    fn a_namespaced_name_is_the_same_pipe() {
        let _watchdog = watchdog(60);
        let plain = name("namespaced");
        let namespaced = plain.as_str().to_ns_name::<GenericNamespaced>().unwrap();
        let options = ListenerOptions::new().name(namespaced);
        let _listener = options.create_sync().unwrap();
        PipeStream::connect(&plain).unwrap();
    }

    #[test]
    fn timeouts_are_unsupported_there_and_kept_here() {
        let _watchdog = watchdog(60);
        let path = path("timeouts");
        let listener = PipeListener::bind(&path).unwrap();
        let soon = Some(Duration::from_millis(20));
        let stream = Stream::connect(theirs(&path)).unwrap();
        let error = stream.set_recv_timeout(soon).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let mut server = listener.accept().unwrap();
        server.set_read_timeout(soon).unwrap();
        let error = server.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }

    #[test]
    fn buffers_are_512_bytes_there_and_64_kib_here() {
        let _watchdog = watchdog(60);
        let (small, large) = (path("small"), path("large"));
        let _theirs = listen(&small);
        let _ours = PipeListener::bind(&large).unwrap();
        for (path, bytes) in [(small, 512), (large, 65536)] {
            let info = PipeStream::connect(path).unwrap().info().unwrap();
            assert_eq!(info.input_buffer_size(), Some(bytes));
            assert_eq!(info.output_buffer_size(), Some(bytes));
        }
    }

    #[test]
    fn a_client_that_wrote_and_left_is_dropped_there_and_delivered_here() {
        let _watchdog = watchdog(60);
        let (drops, delivers) = (path("drops"), path("delivers"));
        let say = |path: &str, word: &[u8]| {
            let mut client = PipeStream::connect(path).unwrap();
            client.write_all(word).unwrap();
            client
        };
        let their_listener = listen(&drops);
        drop(say(&drops, b"early"));
        thread::scope(|scope| {
            let accepting = scope.spawn(|| {
                let mut word = [0; 5];
                let mut stream = their_listener.accept().unwrap();
                stream.read_exact(&mut word).unwrap();
                word
            });
            let _late = say(&drops, b"later");
            assert_eq!(&accepting.join().unwrap(), b"later");
        });
        let our_listener = PipeListener::bind(&delivers).unwrap();
        drop(say(&delivers, b"early"));
        let _late = say(&delivers, b"later");
        for expected in [b"early", b"later"] {
            let mut word = [0; 5];
            our_listener
                .accept()
                .unwrap()
                .read_exact(&mut word)
                .unwrap();
            assert_eq!(&word, expected);
        }
    }
}
