//! One end of a connection: a pipe, a TCP socket, a program, or our own stdin and stdout.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use npipe::{PipeMode, PipeStream};

use crate::commands::listen::Feed;
use crate::failure::{self, Failure};
use crate::program::Running;

/// One thread may read from it while another writes.
#[derive(Debug)]
pub enum End {
    Pipe(PipeStream),
    Tcp(TcpStream),
    Program(Running),
    Stdio(Mutex<Output>),
    /// Our stdin as one client after another gets it, and our stdout.
    Shared(Arc<Feed>, Mutex<Output>),
}

/// Whether the other side could be told that nothing more will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfClose {
    Done,
    /// There is no such thing here, short of closing the whole.
    Impossible,
}

impl End {
    pub fn stdio() -> failure::Result<End> {
        Ok(End::Stdio(Output::stdout()?))
    }

    /// `Ok(0)` is the end of what comes from there.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            End::Pipe(stream) => { stream }.read(buffer),
            End::Tcp(stream) => { stream }.read(buffer),
            End::Program(program) => program.read(buffer),
            // Std's own buffer is passed by, since ours is larger; its console input on Windows is UTF-8.
            End::Stdio(_) => io::stdin().lock().read(buffer),
            End::Shared(feed, _) => feed.read(buffer),
        }
    }

    /// Writes everything, and holds nothing back.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            End::Pipe(stream) => { stream }.write_all(bytes),
            End::Tcp(stream) => { stream }.write_all(bytes),
            End::Program(program) => program.write_all(bytes),
            End::Stdio(output) | End::Shared(_, output) => lock(output).write_all(bytes),
        }
    }

    /// Nothing more will be written here.
    pub fn end_write(&self) -> HalfClose {
        match self {
            End::Pipe(stream) => match stream.close_write() {
                Err(e) if e.kind() == ErrorKind::Unsupported => HalfClose::Impossible,
                // Whoever has gone needs no telling.
                _ => HalfClose::Done,
            },
            End::Tcp(stream) => {
                let _ = stream.shutdown(Shutdown::Write);
                HalfClose::Done
            }
            End::Program(program) => {
                program.end_input();
                HalfClose::Done
            }
            // Our own stdout stays open: it is not only ours.
            End::Stdio(_) | End::Shared(..) => HalfClose::Impossible,
        }
    }

    /// After the end of what comes from there: whether the whole other side has gone, so that nothing written can
    /// arrive any more. False where the system does not tell.
    pub fn is_gone(&self) -> bool {
        match self {
            End::Pipe(stream) => pipe_is_gone(stream),
            // Writing nothing sends nothing, and fails where writing something would have to.
            End::Tcp(stream) => { stream }.write(&[]).is_err(),
            End::Program(program) => program.has_ended(),
            End::Stdio(_) | End::Shared(..) => false,
        }
    }

    /// Lets a pending read end after `grace`, and all later ones. False: this cannot be done here.
    pub fn stop_reading(&self, grace: Duration) -> bool {
        match self {
            End::Pipe(stream) => stream
                .set_read_deadline(Some(Instant::now() + grace))
                .is_ok(),
            End::Tcp(stream) => stream.shutdown(Shutdown::Both).is_ok(),
            End::Shared(feed, _) => {
                feed.leave();
                true
            }
            End::Program(_) | End::Stdio(_) => false,
        }
    }

    /// Lets a pending write, and all later ones, fail.
    pub fn stop_writing(&self) {
        match self {
            End::Pipe(stream) => {
                let _ = stream.set_write_deadline(Some(Instant::now()));
            }
            End::Tcp(stream) => {
                let _ = stream.shutdown(Shutdown::Both);
            }
            _ => {}
        }
    }

    /// Reads and throws away what still comes, so that closing does not look like a failure from the other side: a
    /// socket that is closed with unread data resets its connection.
    pub fn discard(&self, buffer: &mut [u8]) {
        match self {
            // A program whose output is unwanted is told by the system when it writes.
            End::Program(program) => program.close_output(),
            End::Pipe(_) | End::Tcp(_) => while self.read(buffer).is_ok_and(|length| length > 0) {},
            End::Stdio(_) | End::Shared(..) => {}
        }
    }

    /// Waits until the other side has read all that was written, where the system can tell.
    pub fn wait_drained(&self) -> io::Result<()> {
        match self {
            End::Pipe(stream) => match stream.wait_drained() {
                Err(e) if e.kind() == ErrorKind::Unsupported => Ok(()),
                drained => drained,
            },
            _ => Ok(()),
        }
    }

    pub fn is_stdio(&self) -> bool {
        matches!(self, End::Stdio(_) | End::Shared(..))
    }

    /// Whether input that a person has not typed yet is all that can be missing from here.
    pub fn is_idle_terminal(&self) -> bool {
        matches!(self, End::Stdio(_)) && io::stdin().is_terminal()
    }

    /// What an error calls this end.
    pub fn name(&self) -> String {
        match self {
            End::Pipe(stream) => stream.peer_addr().to_string(),
            End::Tcp(stream) => match stream.peer_addr() {
                Ok(address) => format!("tcp:{address}"),
                Err(_) => "tcp".into(),
            },
            End::Program(_) => "the program".into(),
            End::Stdio(_) | End::Shared(..) => "stdin".into(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn pipe_is_gone(stream: &PipeStream) -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    // An empty packet would be a message; and there the end of reading is the end of all.
    if stream.mode() == PipeMode::Message {
        return true;
    }
    // Writing nothing sends nothing, and fails once the peer has closed both directions rather than one.
    match stream.as_fd().try_clone_to_owned() {
        Ok(fd) => UnixStream::from(fd).write(&[]).is_err(),
        Err(_) => false,
    }
}

#[cfg(windows)]
fn pipe_is_gone(stream: &PipeStream) -> bool {
    // A byte pipe has no half close; a message pipe's empty message does not tell.
    stream.mode() == PipeMode::Byte
}

/// Our stdout, without a buffer of our own: what has come is out at once.
#[derive(Debug)]
pub enum Output {
    File(File),
    #[cfg(windows)]
    Console(Console),
}

impl Output {
    pub fn stdout() -> failure::Result<Mutex<Output>> {
        Output::open().map(Mutex::new).map_err(Failure::stdout)
    }

    #[cfg(unix)]
    fn open() -> io::Result<Output> {
        use std::os::fd::AsFd;
        let fd = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Output::File(File::from(fd)))
    }

    #[cfg(windows)]
    fn open() -> io::Result<Output> {
        use std::os::windows::io::AsHandle;
        if io::stdout().is_terminal() {
            return Ok(Output::Console(Console::default()));
        }
        let handle = io::stdout().as_handle().try_clone_to_owned()?;
        Ok(Output::File(File::from(handle)))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Output::File(file) => file.write_all(bytes),
            #[cfg(windows)]
            Output::Console(console) => console.write_all(bytes),
        }
    }
}

/// A Windows console takes text alone: characters that are cut by a read are kept until the rest of them comes, and
/// what is no text is shown as such.
#[cfg(any(windows, test))]
#[derive(Debug, Default)]
pub struct Console {
    cut: Vec<u8>,
}

#[cfg(any(windows, test))]
impl Console {
    #[cfg(windows)]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(self.text(bytes).as_bytes())?;
        stdout.flush()
    }

    fn text(&mut self, bytes: &[u8]) -> String {
        self.cut.extend_from_slice(bytes);
        let whole = match self.cut.utf8_chunks().last() {
            // Only the very end can be a character whose rest is still to come.
            Some(last) if may_go_on(last.invalid()) => self.cut.len() - last.invalid().len(),
            _ => self.cut.len(),
        };
        let text = String::from_utf8_lossy(&self.cut[..whole]).into_owned();
        self.cut.drain(..whole);
        text
    }
}

#[cfg(any(windows, test))]
fn may_go_on(invalid: &[u8]) -> bool {
    !invalid.is_empty() && std::str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_gets_whole_characters() {
        let mut console = Console::default();
        let text = "aé漢😀\n";
        for size in 1..=text.len() {
            let shown: String = text
                .as_bytes()
                .chunks(size)
                .map(|chunk| console.text(chunk))
                .collect();
            assert_eq!(shown, text);
        }
        assert_eq!(console.text(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(console.text(b"\xe6\xbc"), "");
        assert_eq!(console.text(b"x"), "\u{fffd}x");
    }
}
