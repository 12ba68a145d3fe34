//! A place that others have a hand in: another user's directories and files, and a system that refuses at a bad moment.

#![cfg(target_os = "linux")]

use std::collections::hash_map::RandomState;
use std::fs::{self, Permissions};
use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use npipe::{ConnectOptions, ExpectServer, ListenOptions, PipeListener, PipeStream, Security};

/// `nobody`, on every Linux.
const OTHER: u32 = 65534;
/// A user that is neither.
const THIRD: u32 = 54321;
const ROLE: &str = "NPIPE_TEST_ROLE";

/// A directory that is removed with all that is in it.
struct Directory(PathBuf);

impl Directory {
    fn new(what: &str) -> Directory {
        let random = RandomState::new().build_hasher().finish();
        let path = PathBuf::from(format!("/tmp/npipe-{what}-{random:x}"));
        fs::create_dir(&path).unwrap();
        set_mode(&path, 0o755);
        Directory(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn files(&self) -> Vec<String> {
        let mut files: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        files
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn dead_socket(path: &Path) {
    drop(UnixListener::bind(path).unwrap()); // std leaves its file behind
}

/// A command that does `role` with `path` in a process of its own, within `outside` (strace, unshare).
fn doing(directory: &Directory, role: &str, path: &Path, outside: &[&str]) -> Command {
    // Another user may not be able to read where this program was built.
    let program = directory.join("program");
    if !program.exists() {
        let copied = Command::new("install")
            .args(["-m", "755"])
            .args([&std::env::current_exe().unwrap(), &program])
            .status();
        assert!(copied.unwrap().success());
    }
    let mut words = outside.to_vec();
    words.push(program.to_str().unwrap());
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .args(["--exact", "role", "--nocapture", "--include-ignored"])
        .env(ROLE, format!("{role} {}", path.display()))
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

/// What a role says, once it has ended.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let said = text
        .lines()
        .find_map(|line| line.split_once("says: ").map(|(_, said)| said.to_owned()));
    said.unwrap_or_else(|| panic!("it said nothing: {output:?}"))
}

/// No test: what a process of its own does, when it is told to.
#[test]
#[ignore = "the other half of the tests in this file, which start it"]
fn role() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let (role, path) = role.rsplit_once(' ').unwrap();
    let tell = |error: std::io::Error| println!("says: {:?}: {error}", error.kind());
    let everyone = ListenOptions::new().security(Security::Everyone);
    match role {
        "bind" => match PipeListener::bind(path) {
            Ok(_) => println!("says: bound"),
            Err(error) => tell(error),
        },
        "bind in a shared directory" => match everyone.allow_shared_directory(true).bind(path) {
            Ok(_) => println!("says: bound"),
            Err(error) => tell(error),
        },
        "bind in a new root" => {
            std::os::unix::fs::chroot(path).unwrap();
            std::env::set_current_dir("/").unwrap();
            assert!(!Path::new("/proc").exists());
            match everyone.bind("/x.sock") {
                Ok(_) => println!("says: bound, {:o}", mode(Path::new("/x.sock"))),
                Err(error) => tell(error),
            }
        }
        "connect" => match PipeStream::connect(path) {
            Ok(_) => println!("says: connected"),
            Err(error) => tell(error),
        },
        "serve its own user" => {
            let listener = everyone.current_user_clients_only(true).bind(path).unwrap();
            match listener.accept_timeout(Duration::from_secs(2)) {
                Ok(_) => println!("says: served"),
                Err(error) => tell(error),
            }
        }
        "connect in a loop" => loop {
            let once = ConnectOptions::new().timeout(Duration::from_millis(10));
            let _ = once.connect(path);
        },
        _ => panic!("no such role: {role}"),
    }
}

#[test]
#[cfg_attr(not(root), ignore = "left out: it takes root to be somebody else")]
fn a_directory_of_another_user_is_refused_at_both_ends() {
    let directory = Directory::new("others");
    let (theirs, inner) = (directory.join("theirs"), directory.join("theirs/inner"));
    fs::create_dir_all(&inner).unwrap();
    // Sticky, and its owner may rename what is in it all the same.
    set_mode(&theirs, 0o1777);
    chown(&theirs, Some(OTHER), Some(OTHER)).unwrap();
    let link = directory.join("link");
    symlink("/tmp", &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(OTHER), None).unwrap();
    let random = RandomState::new().build_hasher().finish();
    let linked = link.join(format!("npipe-linked-{random:x}.sock"));
    for path in [theirs.join("x.sock"), inner.join("x.sock"), linked] {
        let error = PipeListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("65534"), "{error}");
        assert!(!path.exists());

        let meant = ListenOptions::new().allow_shared_directory(true);
        let _listener = meant.bind(&path).unwrap();
        let expecting = ConnectOptions::new().expect_server(ExpectServer::CurrentUser);
        let error = expecting.connect(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("65534"), "{error}");
        expecting
            .allow_shared_directory(true)
            .connect(&path)
            .unwrap();
    }
}

#[test]
#[cfg_attr(not(root), ignore = "left out: it takes root to be somebody else")]
fn a_directory_that_may_not_be_searched_is_told_as_such() {
    let directory = Directory::new("closed");
    let closed = directory.join("closed");
    fs::create_dir(&closed).unwrap();
    set_mode(&closed, 0o700);
    let path = closed.join("x.sock");
    let said = said(
        doing(&directory, "connect", &path, &[])
            .uid(OTHER)
            .gid(OTHER),
    );
    assert!(said.starts_with("PermissionDenied"), "{said}");
    assert!(said.contains("may not be searched"), "{said}");
    assert!(!said.contains("the pipe is there"), "{said}");
}

#[test]
#[cfg_attr(not(root), ignore = "left out: it takes root to be somebody else")]
fn what_another_user_left_is_in_nobodys_way_or_told_with_its_owner() {
    let directory = Directory::new("left");
    set_mode(&directory.0, 0o1777);
    let path = directory.join("x.sock");
    // The lock of an older npipe, of a process that was killed.
    let lock = directory.join(".x.sock.npipe-lock");
    fs::write(&lock, "").unwrap();
    set_mode(&lock, 0o600);
    let bind = || said(doing(&directory, "bind", &path, &[]).uid(OTHER).gid(OTHER));
    assert_eq!(bind(), "bound");
    dead_socket(&path);
    chown(&path, Some(THIRD), None).unwrap();
    set_mode(&path, 0o666);
    let said = bind();
    assert!(said.starts_with("PermissionDenied"), "{said}");
    assert!(
        said.contains(&format!("a dead socket of uid {THIRD}")),
        "{said}"
    );
    set_mode(&path, 0o600);
    let said = bind();
    assert!(said.starts_with("AddrInUse"), "{said}");
    assert!(said.contains(&format!("a socket of uid {THIRD}")), "{said}");
}

#[test]
#[cfg_attr(
    not(root),
    ignore = "left out: it takes root to change the root directory"
)]
fn without_proc_the_mode_is_still_the_one_that_was_asked_for() {
    let directory = Directory::new("chroot");
    let root = directory.join("root");
    fs::create_dir(&root).unwrap();
    let umask = ["sh", "-c", "umask 022; exec \"$@\"", "sh"];
    let said = said(&mut doing(&directory, "bind in a new root", &root, &umask));
    assert_eq!(said, "bound, 666");
    assert!(!root.join("x.sock").exists());
}

/// In a rootless container the real root's directories show as the overflow user's.
#[test]
#[cfg_attr(
    not(userns),
    ignore = "left out: it takes root, and a system in which everybody may make a user namespace"
)]
fn in_a_user_namespace_the_directories_of_the_real_root_are_taken() {
    let directory = Directory::new("rootless");
    let inside = |map: &[&str]| {
        let random = RandomState::new().build_hasher().finish();
        let path = PathBuf::from(format!("/tmp/npipe-rootless-{random:x}.sock"));
        let mut outside = vec![
            "setpriv",
            "--reuid=54321",
            "--regid=54321",
            "--clear-groups",
        ];
        outside.extend(["unshare", "--user"]);
        outside.extend(map);
        said(&mut doing(&directory, "bind", &path, &outside))
    };
    assert_eq!(inside(&["--map-root-user"]), "bound");
    assert_eq!(inside(&[]), "bound");
}

/// To a process whose own user has no number where it is, everybody else shows as the same user.
#[test]
#[cfg_attr(
    not(userns),
    ignore = "left out: it takes root, and a system in which everybody may make a user namespace"
)]
fn a_user_without_a_number_is_nobodys_equal() {
    let directory = Directory::new("overflow");
    set_mode(&directory.0, 0o1777);
    let path = directory.join("x.sock");
    let outside = "setpriv --reuid=54321 --regid=54321 --clear-groups unshare --user";
    let outside: Vec<_> = outside.split(' ').collect();
    let mut serving = doing(&directory, "serve its own user", &path, &outside);
    let mut child = Killed(serving.stdout(Stdio::piped()).spawn().unwrap());
    let patient = ConnectOptions::new().wait_for_server(true);
    let _client = patient
        .timeout(Duration::from_secs(30))
        .connect(&path)
        .unwrap();
    let output = std::io::read_to_string(child.0.stdout.take().unwrap()).unwrap();
    assert!(output.contains("says: TimedOut"), "{output}");
}

#[test]
#[cfg_attr(not(root), ignore = "left out: it takes root to be somebody else")]
fn strangers_that_connect_in_a_loop_hold_up_neither_a_deadline_nor_a_close() {
    let directory = Directory::new("strangers");
    let path = directory.join("x.sock");
    let listener = ListenOptions::new()
        .security(Security::Everyone)
        .current_user_clients_only(true)
        .bind(&path)
        .unwrap();
    let strangers: Vec<_> = (0..3)
        .map(|_| {
            let mut command = doing(&directory, "connect in a loop", &path, &[]);
            Killed(command.uid(THIRD).gid(THIRD).spawn().unwrap())
        })
        .collect();
    let timed = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let limit = Duration::from_millis(300);
    for _ in 0..5 {
        let took = timed(&|| {
            let error = listener.accept_timeout(limit).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        });
        assert!(took < limit + Duration::from_secs(1), "{took:?}");
    }
    std::thread::scope(|scope| {
        let accept = scope.spawn(|| listener.accept());
        let took = timed(&|| listener.close());
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert!(accept.join().unwrap().is_err());
    });
    drop(strangers);
}

/// Strace's words for a system in which `inject` happens.
fn strace(inject: &str) -> Vec<String> {
    let mut words: Vec<_> = "strace -f -qq -o /dev/null -e"
        .split(' ')
        .map(String::from)
        .collect();
    words.push(format!("inject={inject}"));
    words
}

fn said_under(directory: &Directory, role: &str, path: &Path, strace: &[String]) -> String {
    let words: Vec<_> = strace.iter().map(String::as_str).collect();
    said(&mut doing(directory, role, path, &words))
}

#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to inject with")]
fn a_directory_without_locks_does_as_well() {
    let directory = Directory::new("locks");
    let path = directory.join("x.sock");
    for error in ["ENOLCK", "EOPNOTSUPP", "ENOSYS"] {
        for dead in [false, true] {
            if dead {
                dead_socket(&path);
            }
            let said = said_under(
                &directory,
                "bind",
                &path,
                &strace(&format!("flock:error={error}")),
            );
            assert_eq!(said, "bound", "{error}");
            assert_eq!(directory.files(), ["program"], "{error}");
        }
    }
}

#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to inject with")]
fn a_bind_that_fails_leaves_no_file() {
    let directory = Directory::new("fails");
    let path = directory.join("x.sock");
    for inject in ["statx:error=EIO", "listen:error=EOPNOTSUPP"] {
        let mut strace = strace(inject);
        if inject.starts_with("statx") {
            // Of the socket file alone.
            strace.extend(["-P".to_owned(), path.to_str().unwrap().to_owned()]);
        }
        let said = said_under(&directory, "bind", &path, &strace);
        assert!(!said.contains("bound"), "{inject}: {said}");
        assert_eq!(directory.files(), ["program"], "{inject}: {said}");
    }
}

#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to inject with")]
fn a_look_at_what_is_there_that_fails_is_not_taken_for_an_answer() {
    let directory = Directory::new("probe");
    let path = directory.join("x.sock");
    dead_socket(&path);
    let said = said_under(
        &directory,
        "bind",
        &path,
        &strace("socket:error=EMFILE:when=2+"),
    );
    assert!(!said.starts_with("AddrInUse"), "{said}");
    assert!(said.contains("Too many open files"), "{said}");
    assert!(!said.contains("somebody else"), "{said}");
}

/// A process that is killed, and waited for, if the test ends before it.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to inject with")]
fn what_is_swapped_into_the_place_during_a_bind_is_neither_opened_up_nor_removed() {
    for secret_is_a_socket in [false, true] {
        let directory = Directory::new("swap");
        // Whose it is does not matter here: anybody may replace what is in it.
        set_mode(&directory.0, 0o777);
        let (path, secret) = (directory.join("x.sock"), directory.join("secret"));
        if secret_is_a_socket {
            dead_socket(&secret);
        } else {
            fs::write(&secret, "secret").unwrap();
        }
        set_mode(&secret, 0o600);
        // After the socket is there, and before bind says so.
        let words = strace("bind:delay_exit=700000");
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let mut binding = doing(&directory, "bind in a shared directory", &path, &words);
        let mut child = Killed(binding.stdout(Stdio::piped()).spawn().unwrap());
        let until = Instant::now() + Duration::from_secs(30);
        while !path.exists() {
            assert!(Instant::now() < until, "no socket came");
            std::thread::sleep(Duration::from_micros(100));
        }
        fs::rename(&secret, &path).unwrap();
        let output = std::io::read_to_string(child.0.stdout.take().unwrap()).unwrap();
        assert!(output.contains("says: PermissionDenied"), "{output}");
        assert_eq!(mode(&path), 0o600, "{output}");
    }
}
