//! Two real accounts of one machine: who is let in, who is refused, and that the next good client is served.

#![cfg(unix)] // on Windows tests/real_windows.rs asks the same of a restricted token

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use npipe::{ConnectOptions, ExpectServer, ListenOptions, PipeListener, PipeStream, Security};

/// `nobody`, on every Linux.
const OTHER: u32 = 65534;
const ROLE: &str = "NPIPE_TEST_ROLE";

fn name(what: &str) -> String {
    format!(
        "/tmp/npipe-{what}-{:x}.sock",
        RandomState::new().build_hasher().finish()
    )
}

/// This program as the other account, which may not be able to read where it was built. Killed and removed on drop.
struct Other {
    child: Child,
    output: BufReader<ChildStdout>,
    program: PathBuf,
}

impl Other {
    fn does(role: &str, name: &str) -> Other {
        let program = PathBuf::from(format!("{}.test", self::name("program")));
        // Another program copies it: what another test starts just then would inherit a descriptor of ours that writes to
        // it, and the system starts no file that is open for writing ("text file busy").
        let copied = Command::new("install")
            .args(["-m", "755"])
            .arg(std::env::current_exe().unwrap())
            .arg(&program)
            .status();
        assert!(copied.unwrap().success());
        let mut child = Command::new(&program)
            .args(["--exact", "role", "--nocapture", "--include-ignored"])
            .env(ROLE, format!("{role} {name}"))
            .current_dir("/")
            .uid(OTHER)
            .gid(OTHER)
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Other {
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            program,
        }
    }

    /// What it says next.
    fn says(&mut self) -> String {
        (&mut self.output)
            .lines()
            .map(Result::unwrap)
            .find_map(|line| line.split_once("says: ").map(|(_, said)| said.to_owned()))
            .expect("the other account said nothing")
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.program);
    }
}

/// No test: what the other account does, when it is told to.
#[test]
#[ignore = "the other half of the tests in this file, which start it"]
fn role() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let (role, name) = role.split_once(' ').unwrap();
    let tell = |said: String| println!("says: {said}");
    match role {
        "connect" => match PipeStream::connect(name) {
            Err(error) => tell(format!("{:?}: {error}", error.kind())),
            Ok(mut stream) => {
                // One that is cut off may or may not notice while it writes.
                let _ = stream.write_all(b"hello");
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                tell(format!("answered {answer:?}"));
            }
        },
        "bind" => match PipeListener::bind(name) {
            Err(error) => tell(format!("{:?}: {error}", error.kind())),
            Ok(_) => tell("bound".to_owned()),
        },
        "serve" => {
            let listener = ListenOptions::new()
                .security(Security::Everyone)
                .bind(name)
                .unwrap();
            tell("ready".to_owned());
            for stream in listener.incoming() {
                let mut heard = Vec::new();
                stream.unwrap().read_to_end(&mut heard).unwrap();
                tell(format!("heard {}", heard.len()));
            }
        }
        _ => panic!("no such role: {role}"),
    }
}

/// A listener that does not wait forever.
fn bind(options: &ListenOptions, name: &str) -> PipeListener {
    let listener = options.bind(name).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    listener.set_deadline(Some(deadline)).unwrap();
    listener
}

#[test]
#[cfg_attr(not(root), ignore = "left out: it takes root to be somebody else")]
fn owner_only_refuses_another_account() {
    let name = name("owner");
    let listener = bind(&ListenOptions::new(), &name);
    let said = Other::does("connect", &name).says();
    assert!(said.starts_with("PermissionDenied"), "{said}");
    assert!(said.contains("does not let this user in"), "{said}");
    // Nobody noticed, and the next good client is served.
    let mut client = PipeStream::connect(&name).unwrap();
    client.write_all(b"good").unwrap();
    drop(client);
    let mut heard = Vec::new();
    listener.accept().unwrap().read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"good");
}

#[test]
#[cfg_attr(not(root), ignore = "left out: it takes root to be somebody else")]
fn everyone_admits_another_account_and_knows_it() {
    let name = name("everyone");
    let listener = bind(&ListenOptions::new().security(Security::Everyone), &name);
    let mut other = Other::does("connect", &name);
    let mut stream = listener.accept().unwrap();
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    let peer = stream.peer_identity().unwrap();
    assert_eq!((peer.uid(), peer.gid()), (Some(OTHER), Some(OTHER)));
    assert_eq!(stream.peer_pid().unwrap(), other.child.id());
    stream.write_all(b"welcome").unwrap();
    drop(stream);
    assert_eq!(other.says(), "answered \"welcome\"");
}

#[test]
#[cfg_attr(not(root), ignore = "left out: it takes root to be somebody else")]
fn current_user_clients_only_cuts_another_account_off_and_serves_the_next() {
    let name = name("only");
    let options = ListenOptions::new()
        .security(Security::Everyone)
        .current_user_clients_only(true);
    let listener = bind(&options, &name);
    let mut other = Other::does("connect", &name);
    std::thread::scope(|scope| {
        let accept = scope.spawn(|| listener.accept().unwrap());
        assert_eq!(other.says(), "answered \"\"");
        let mut client = PipeStream::connect(&name).unwrap();
        client.write_all(b"own").unwrap();
        drop(client);
        let mut heard = Vec::new();
        accept.join().unwrap().read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"own");
    });
}

#[test]
#[cfg_attr(not(root), ignore = "left out: it takes root to be somebody else")]
fn an_unexpected_server_is_sent_nothing_and_serves_the_next() {
    let name = name("expect");
    let mut other = Other::does("serve", &name);
    assert_eq!(other.says(), "ready");
    let connect = |server| ConnectOptions::new().expect_server(server).connect(&name);
    let error = connect(ExpectServer::CurrentUser).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("65534"), "{error}");
    assert_eq!(other.says(), "heard 0");
    let mut client = connect(ExpectServer::Uid(OTHER)).unwrap();
    client.write_all(b"trusted").unwrap();
    drop(client);
    assert_eq!(other.says(), "heard 7");
    drop(other);
    // It was killed, and what it left is dead.
    fs::remove_file(&name).unwrap();
}

#[test]
#[cfg_attr(not(root), ignore = "left out: it takes root to be somebody else")]
fn another_account_replaces_neither_a_live_socket_nor_a_dead_one() {
    let name = name("replace");
    let listener = bind(&ListenOptions::new(), &name);
    let said = Other::does("bind", &name).says();
    assert!(said.starts_with("AddrInUse"), "{said}");
    drop(listener);
    drop(std::os::unix::net::UnixListener::bind(&name).unwrap());
    fs::set_permissions(&name, fs::Permissions::from_mode(0o666)).unwrap();
    let said = Other::does("bind", &name).says();
    assert!(said.starts_with("PermissionDenied"), "{said}");
    assert!(fs::symlink_metadata(&name).is_ok());
    fs::remove_file(&name).unwrap();
}

#[test]
#[cfg_attr(
    not(all(root, dotnet)),
    ignore = "left out: it takes root to be somebody else, and a .NET"
)]
fn dotnet_acts_as_the_other_account_whose_client_is_ours() {
    let name = name("act");
    let words = ["me", "user", "as-client", "me", "close"];
    let server = npipe_interop::Dotnet::first()
        .peer(&[&["serve", &name], &words[..]].concat())
        .leaving(&name);
    server.expect("ready");
    // .NET leaves it as the umask has it.
    fs::set_permissions(&name, fs::Permissions::from_mode(0o666)).unwrap();
    let _other = Other::does("connect", &name);
    server.expect("connected");
    let me = server.line().unwrap();
    server.expect("user nobody");
    server.expect("me nobody");
    server.expect(&me);
    assert_ne!(me, "me nobody");
    server.expect("closed");
    server.finish();
}
