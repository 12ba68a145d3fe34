//! The socket file: whose it is, what is in its way, and where it is safe.

#![cfg(unix)]

mod common;

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use common::{name, pair_on, role, said, spawn_role, timed, watchdog};
use npipe::{ConnectOptions, ExpectServer, ListenOptions, PipeListener, PipeState, PipeStream};

/// A directory of this test's own, removed with what is in it.
struct Directory(PathBuf);

impl Directory {
    fn new(what: &str, mode: u32) -> Directory {
        let path = std::env::temp_dir().join(name(what));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Directory(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(&self.0).unwrap();
        files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn dead_socket(path: &Path) {
    drop(UnixListener::bind(path).unwrap()); // std leaves its file behind
}

/// Runs `work` in a forked child.
fn in_a_fork(work: impl FnOnce()) {
    // SAFETY: the child does what `work` says in the one thread that it has, and ends.
    match unsafe { libc::fork() } {
        0 => {
            work();
            // SAFETY: ends the process and touches nothing of it.
            unsafe { libc::_exit(0) }
        }
        child => {
            let mut status = 0;
            // SAFETY: a child of our own, and a local to be written to.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
        }
    }
}

#[test]
fn a_forked_child_leaves_the_socket_of_its_parent() {
    let _watchdog = watchdog(60);
    let name = name("fork");
    let listener = PipeListener::bind(&name).unwrap();
    let mut listener = Some(listener);
    in_a_fork(|| drop(listener.take()));
    pair_on(listener.as_ref().unwrap());
    let path = listener.as_ref().unwrap().local_addr().os_path().to_owned();
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn nothing_but_the_socket_is_made_and_nothing_stays() {
    let directory = Directory::new("clean", 0o700);
    let path = directory.join("x.sock");
    for round in 0..3 {
        if round > 0 {
            dead_socket(&path);
        }
        let listener = PipeListener::bind(&path).unwrap();
        assert_eq!(directory.files(), ["x.sock"]);
        pair_on(&listener);
        drop(listener);
        assert_eq!(directory.files(), [""; 0]);
    }
}

#[test]
fn a_lock_file_that_somebody_left_is_in_nobodys_way() {
    let directory = Directory::new("left", 0o700);
    // Nobody could make use of this one.
    fs::create_dir(directory.join(".x.sock.npipe-lock")).unwrap();
    pair_on(&PipeListener::bind(directory.join("x.sock")).unwrap());
}

#[test]
fn who_holds_the_lock_for_ever_is_not_waited_for() {
    use rustix::fs::{FlockOperation, flock};
    let _watchdog = watchdog(60);
    let directory = Directory::new("locked", 0o700);
    let path = directory.join("x.sock");
    dead_socket(&path);
    let held = fs::File::open(&directory.0).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    let (listener, took) = timed(|| PipeListener::bind(&path).unwrap());
    assert!(took < Duration::from_secs(5), "{took:?}");
    pair_on(&listener);
}

#[test]
fn of_many_that_clear_away_a_dead_socket_one_has_the_name() {
    let _watchdog = watchdog(120);
    let directory = Directory::new("race", 0o700);
    let path = directory.join("x.sock");
    for _ in 0..100 {
        dead_socket(&path);
        let bound: Vec<_> = thread::scope(|scope| {
            let bind = || scope.spawn(|| PipeListener::bind(&path));
            let binding: Vec<_> = (0..4).map(|_| bind()).collect();
            let bound = binding.into_iter().map(|it| it.join().unwrap());
            bound.collect()
        });
        let (bound, refused): (Vec<_>, Vec<_>) = bound.into_iter().partition(Result::is_ok);
        assert_eq!(bound.len(), 1, "{refused:?}");
        for refused in refused {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::AddrInUse);
        }
        pair_on(bound[0].as_ref().unwrap());
    }
}

#[test]
fn a_socket_for_datagrams_is_no_pipe() {
    let _watchdog = watchdog(60);
    let name = name("datagrams");
    let path = npipe::PipeName::new(&name).unwrap().os_path().to_owned();
    let theirs = UnixDatagram::bind(&path).unwrap();
    // Connected to itself, it refuses everybody else's datagrams, and is one all the same.
    for connected in [false, true] {
        if connected {
            theirs.connect(&path).unwrap();
        }
        for error in [
            PipeStream::connect(&name).unwrap_err(),
            npipe::state(&name).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(said(&error).contains("is not a pipe"), "{error}");
        }
        assert!(npipe::list().unwrap().iter().all(|it| it.path() != path));
        let error = PipeListener::bind(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
    }
    drop(theirs);
    assert_eq!(npipe::state(&name).unwrap(), PipeState::Stale);
    pair_on(&PipeListener::bind(&name).unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_system_without_sockets_is_told_as_such() {
    let error = PipeListener::bind("/proc/x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(
        said(&error).contains("no sockets in the file system of /proc"),
        "{error}"
    );
}

#[test]
fn a_directory_that_a_group_may_write_to_is_refused_unless_it_is_meant() {
    let directory = Directory::new("group", 0o770);
    let path = directory.join("x.sock");
    let error = PipeListener::bind(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(said(&error).contains("group"), "{error}");
    assert!(said(&error).contains("allow_shared_directory"), "{error}");

    let listener = ListenOptions::new()
        .allow_shared_directory(true)
        .bind(&path)
        .unwrap();
    let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A client that wants a certain server looks as well; one that takes anybody does not.
    let expecting = ConnectOptions::new().expect_server(ExpectServer::CurrentUser);
    let error = expecting.connect(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(said(&error).contains("group"), "{error}");
    expecting
        .allow_shared_directory(true)
        .connect(&path)
        .unwrap();
    PipeStream::connect(&path).unwrap();
    drop(listener);
    assert_eq!(directory.files(), [""; 0]);
}

#[test]
fn a_directory_above_counts_too_and_a_sticky_one_does_no_harm() {
    let directory = Directory::new("above", 0o777);
    let inner = directory.join("inner");
    fs::create_dir(&inner).unwrap();
    let link = std::env::temp_dir().join(name("link"));
    std::os::unix::fs::symlink(&inner, &link).unwrap();
    for path in [inner.join("x.sock"), link.join("x.sock")] {
        let error = PipeListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(
            said(&error).contains(directory.0.to_str().unwrap()),
            "{error}"
        );
    }
    fs::set_permissions(&directory.0, Permissions::from_mode(0o1777)).unwrap();
    for path in [inner.join("x.sock"), link.join("x.sock")] {
        let listener = PipeListener::bind(&path).unwrap();
        let expecting = ConnectOptions::new().expect_server(ExpectServer::CurrentUser);
        expecting.connect(&path).unwrap();
        drop(listener);
    }
    fs::remove_file(link).unwrap();
}

#[test]
fn with_every_umask_the_mode_is_the_one_that_was_asked_for() {
    use npipe::Security;
    let _watchdog = watchdog(60);
    if let Some(umask) = role() {
        // In a process of its own, since it has but one umask.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask.parse().unwrap()));
        for shared in [false, true] {
            let directory = Directory::new("umask", if shared { 0o777 } else { 0o700 });
            let path = directory.join("x.sock");
            for mode in [0o600, 0o660, 0o666, 0o1666] {
                let _listener = ListenOptions::new()
                    .security(Security::Mode(mode))
                    .allow_shared_directory(shared)
                    .bind(&path)
                    .unwrap();
                let file = fs::symlink_metadata(&path).unwrap();
                assert_eq!(file.permissions().mode() & 0o7777, mode);
            }
        }
        return;
    }
    for umask in [0, 0o022, 0o077, 0o777] {
        let mut child = spawn_role(&umask.to_string());
        assert!(child.0.wait().unwrap().success(), "umask {umask:o}");
    }
}
