//! Our own stdout: data as it comes, and what a command prints.

use std::fs::File;
#[cfg(windows)]
use std::io::IsTerminal;
use std::io::{self, Write};
use std::sync::Mutex;

use crate::failure::{self, Failure};
use crate::ready;

/// Prints all of it.
pub fn print(text: impl AsRef<[u8]>) -> failure::Result {
    write(text.as_ref()).map_err(Failure::stdout)
}

/// Prints it with its colours, where they show.
pub fn print_styled(text: &str) -> failure::Result {
    if is_colored() {
        return print(text);
    }
    print(anstream::adapter::strip_str(text).to_string())
}

/// Whether colours show on stdout.
pub fn is_colored() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = writer();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Stdout, for text.
#[cfg(unix)]
pub fn writer() -> impl Write + Send {
    ready::Stdout
}

/// On an old console the colours are calls.
#[cfg(windows)]
pub fn writer() -> impl Write + Send {
    anstream::AutoStream::auto(io::stdout())
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

    /// Tells whoever reads our stdout that this is the end of it, while we go on to read stdin. False: it cannot be told.
    #[cfg(unix)]
    pub fn close(&mut self) -> bool {
        let close = || -> io::Result<File> {
            if ready::is_one_socket() {
                // Stdin is the same socket, and stays: closing stdout alone would tell nobody.
                rustix::net::shutdown(rustix::stdio::stdout(), rustix::net::Shutdown::Write)?;
            }
            // Not closed outright: the next file that is opened would be the new stdout.
            let nowhere = File::options().write(true).open("/dev/null")?;
            rustix::stdio::dup2_stdout(&nowhere)?;
            Ok(nowhere)
        };
        match close() {
            Ok(nowhere) => {
                *self = Output::File(nowhere);
                true
            }
            Err(_) => false,
        }
    }

    /// No call that is safe closes it.
    #[cfg(windows)]
    pub fn close(&mut self) -> bool {
        false
    }

    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Output::File(file) => ready::write_all(file, bytes),
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
