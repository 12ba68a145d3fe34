//! The recipes of `docs/recipes.md`, with the programs themselves: ssh-agent, gpg-agent, mpv, Neovim and curl.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use npipe_interop::{curl, mpv, name, neovim, ssh_agent, watchdog};

use crate::npipe::{self, Npipe, PATIENCE};

/// A directory that goes with its test. Its name is short, as paths of sockets have to be.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        use std::os::unix::fs::DirBuilderExt;
        let directory = std::env::temp_dir().join(name("d"));
        let mut made = std::fs::DirBuilder::new();
        made.mode(0o700).create(&directory).expect("it is new");
        Directory(directory)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a program prints that ends well.
#[track_caller]
fn prints(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same once it can: it may not serve yet.
#[track_caller]
fn prints_at_last(mut command: impl FnMut() -> Command) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let output = command().output().expect("it starts");
        if output.status.success() {
            return String::from_utf8_lossy(&output.stdout).into_owned();
        }
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(Instant::now() < until, "{:?}: {said}", command());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A relay to `behind`, over one process for all clients or not.
fn relay(front: &str, behind: &str, mux: bool) -> Npipe {
    let to = if mux {
        format!("mux:\"{}\" mux {behind}", npipe::program().display())
    } else {
        format!("unix:{behind}")
    };
    Npipe::serve(&["relay", &format!("unix:{front}"), &to], front)
}

#[test]
#[cfg_attr(
    not(ssh_agent),
    ignore = "left out: no ssh-agent; `cargo xtask test` installs one"
)]
fn ssh_add_and_a_signature_through_a_relay() {
    let _watchdog = watchdog();
    let directory = Directory::new();
    let (behind, front) = (directory.file("agent"), directory.file("front"));
    let key = directory.file("key");
    prints(Command::new("ssh-keygen").args([
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        "of-the-test",
        "-f",
        &key,
    ]));
    let _agent = ssh_agent(&behind);
    for mux in [false, true] {
        let _relay = relay(&front, &behind, mux);
        let with = |program: &str| {
            let mut command = Command::new(program);
            command.env("SSH_AUTH_SOCK", &front);
            command
        };
        prints_at_last(|| {
            let mut add = with("ssh-add");
            add.args(["-q", &key]);
            add
        });
        let keys = prints(with("ssh-add").arg("-l"));
        assert!(keys.contains("of-the-test"), "{keys}");
        // The private half is away: only the agent can sign.
        let text = directory.file("text");
        std::fs::write(&text, "signed").unwrap();
        let public = format!("{key}.pub");
        let hidden = directory.file("hidden");
        std::fs::rename(&key, &hidden).unwrap();
        prints(with("ssh-keygen").args(["-q", "-Y", "sign", "-f", &public, "-n", "test", &text]));
        std::fs::rename(&hidden, &key).unwrap();
        let signature = std::fs::read_to_string(format!("{text}.sig")).unwrap();
        assert!(signature.starts_with("-----BEGIN SSH SIGNATURE-----"));
        std::fs::remove_file(format!("{text}.sig")).unwrap();
        prints(with("ssh-add").args(["-q", "-D"]));
    }
}

#[test]
#[cfg_attr(
    not(gpg_agent),
    ignore = "left out: no gpg-agent; `cargo xtask test` installs one"
)]
fn gpg_signs_by_an_agent_behind_a_relay() {
    let _watchdog = watchdog();
    // The keys, and somebody who has none but the way to that agent.
    let (keys, guest) = (Directory::new(), Directory::new());
    let gpg = |home: &Directory| {
        let mut gpg = Command::new("gpg");
        gpg.arg("--homedir")
            .arg(&home.0)
            .args(["--batch", "--quiet"]);
        gpg
    };
    let socket = |home: &Directory| {
        let mut gpgconf = Command::new("gpgconf");
        gpgconf.arg("--homedir").arg(&home.0);
        prints(gpgconf.args(["--list-dirs", "agent-socket"]))
            .trim_end()
            .to_owned()
    };
    let user = "of the test <test@npipe.invalid>";
    // Starts its agent, too.
    prints(gpg(&keys).args([
        "--passphrase",
        "",
        "--quick-generate-key",
        user,
        "ed25519",
        "sign",
        "never",
    ]));
    let public = keys.file("public");
    prints(gpg(&keys).args(["--output", &public, "--export"]));
    prints(gpg(&guest).args(["--no-autostart", "--import", &public]));
    let (front, behind) = (socket(&guest), socket(&keys));
    if let Some(place) = std::path::Path::new(&front).parent() {
        std::fs::create_dir_all(place).unwrap();
    }
    for mux in [false, true] {
        let _relay = relay(&front, &behind, mux);
        let text = guest.file("text");
        std::fs::write(&text, "signed").unwrap();
        let sign = || {
            let mut sign = gpg(&guest);
            sign.args([
                "--no-autostart",
                "--yes",
                "--local-user",
                user,
                "--detach-sign",
                &text,
            ]);
            sign
        };
        prints_at_last(sign);
        prints(gpg(&keys).args(["--verify", &format!("{text}.sig"), &text]));
    }
    let mut end = Command::new("gpgconf");
    prints(
        end.arg("--homedir")
            .arg(&keys.0)
            .args(["--kill", "gpg-agent"]),
    );
}

#[test]
#[cfg_attr(not(mpv), ignore = "left out: no mpv; `cargo xtask test` installs one")]
fn mpv_is_asked_and_told() {
    let _watchdog = watchdog();
    let pipe = name("mpv");
    let mut player = mpv(&pipe);
    let ask = |request: &str, until: &str| {
        let words = [
            "ask",
            "--wait",
            "--timeout",
            "60s",
            "--until",
            until,
            &pipe,
            request,
        ];
        Npipe::start(&words).end().text()
    };
    // Events may come before the answer.
    let answer = ask(r#"{"command": ["get_property", "mpv-version"]}"#, "success");
    assert!(answer.contains("mpv "), "{answer}");
    let told = ask(r#"{"command": ["set_property", "volume", 41]}"#, "success");
    assert!(told.contains("error"), "{told}");
    let volume = ask(r#"{"command": ["get_property", "volume"]}"#, "success");
    assert!(volume.contains("41"), "{volume}");
    let mut quit = Npipe::start(&["connect", &pipe]);
    quit.write(b"{\"command\": [\"quit\"]}\n");
    // It closes, and that is the end.
    quit.end();
    player.end_input();
    let (status, ..) = player.end();
    assert!(status.success(), "{status}");
}

#[test]
#[cfg_attr(
    not(neovim),
    ignore = "left out: no Neovim; `cargo xtask test` installs one"
)]
fn neovim_is_remote_controlled_through_a_relay() {
    let _watchdog = watchdog();
    let directory = Directory::new();
    let (behind, front) = (directory.file("nvim"), directory.file("front"));
    let _editor = neovim(&behind);
    for mux in [false, true] {
        let _relay = relay(&front, &behind, mux);
        // By a shell, since some versions print it on stderr.
        let line = format!("nvim --clean --server {front} --remote-expr '6*7' 2>&1");
        let answer = prints_at_last(|| {
            let mut shell = Command::new("sh");
            shell.args(["-c", &line]);
            shell
        });
        assert_eq!(answer.trim_end(), "42");
    }
}

#[test]
#[cfg_attr(
    not(curl),
    ignore = "left out: no curl; `cargo xtask test` installs one"
)]
fn curl_speaks_http_through_a_tap_that_shows_it() {
    let _watchdog = watchdog();
    let (front, behind) = (name("curl"), name("behind-curl"));
    let answer = "printf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n'";
    let _server = Npipe::serve(&["listen", &behind, "--exec", "sh", "-c", answer], &behind);
    let mut tap = Npipe::serve(&["tap", &front, &behind, "--format", "http"], &front);
    let answered = curl(&front, &["http://localhost/version"]).finish();
    assert_eq!(answered, ["hello"]);
    let mut shown = Vec::new();
    while !shown
        .last()
        .is_some_and(|line: &String| line.ends_with("closed"))
    {
        shown.push(tap.line());
    }
    for part in ["GET /version HTTP/1.1", "HTTP/1.1 200 OK", "  hello"] {
        assert!(
            shown.iter().any(|line| line.contains(part)),
            "{part}: {shown:#?}"
        );
    }
}
