//! A server in the background: who started it learns when it listens, and whoever wants to know besides.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::failure::{self, Failure};

/// Tells the process in the background that somebody waits for a line of it.
const AWAITED: &str = "NPIPE_AWAITED";

/// Starts this same command again, without `--detach`, and waits until it listens, or has failed.
pub fn detach() -> failure::Result {
    let failed = |e: io::Error| Failure::io("start another process", &e);
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command
        .args(
            std::env::args_os()
                .skip(1)
                .filter(|word| word != "--detach"),
        )
        .env(AWAITED, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    apart(&mut command);
    let mut child = command.spawn().map_err(failed)?;
    // What it says until then is said here; afterwards there is nobody to hear it.
    let said = child.stderr.take();
    let saying = thread::spawn(move || {
        let mut said = BufReader::new(said?);
        let mut line = Vec::new();
        while said
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            let _ = io::stderr().write_all(&line);
            line.clear();
        }
        Some(())
    });
    let mut ready = String::new();
    let awaited = child.stdout.take().map(BufReader::new);
    let heard = awaited.is_some_and(|mut out| out.read_line(&mut ready).is_ok_and(|n| n > 0));
    if heard {
        return Ok(());
    }
    let status = child.wait().map_err(failed)?;
    let _ = saying.join();
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Err(Failure::silent(code.unwrap_or(failure::IO)))
}

#[cfg(unix)]
fn apart(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // Ctrl-C is not for it.
    command.process_group(0);
}

#[cfg(windows)]
fn apart(command: &mut Command) {
    use std::os::windows::process::CommandExt;
    const DETACHED_PROCESS: u32 = 0x8;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}

/// It listens at `place`: clients find it from now on.
pub fn ready(place: &str, file: Option<&Path>) -> failure::Result {
    if let Some(path) = file {
        std::fs::write(path, format!("{place}\n")).map_err(|e| Failure::file(path, &e))?;
    }
    #[cfg(target_os = "linux")]
    notify();
    if std::env::var_os(AWAITED).is_some() {
        let mut stdout = io::stdout().lock();
        // Whoever waited may have gone.
        let _ = writeln!(stdout, "{place}").and_then(|()| stdout.flush());
    }
    Ok(())
}

/// Tells systemd, where that has started us and waits (`Type=notify`).
#[cfg(target_os = "linux")]
fn notify() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let tell = || -> io::Result<()> {
        let address = match socket.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(Path::new(&socket))?,
        };
        UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address)?;
        Ok(())
    };
    if let Err(error) = tell() {
        crate::say::error(format_args!("tell systemd that it is ready: {error}"));
    }
}
