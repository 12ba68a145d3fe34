//! Waiting for stdin, stdout or stderr, where another program that has the same terminal or pipe has made it non-blocking.

#[cfg(windows)]
use std::io::{self, Write};

#[cfg(unix)]
pub use unix::{Stdout, is_one_socket, stdin, write_all};

/// Nobody makes a file of this system non-blocking for another.
#[cfg(windows)]
pub fn write_all(file: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}

#[cfg(windows)]
pub fn stdin() -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
mod unix {
    use std::io::{self, ErrorKind, Write};
    use std::os::fd::{AsFd, BorrowedFd};

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;

    fn wait(file: BorrowedFd<'_>, event: PollFlags) -> io::Result<()> {
        match poll(&mut [PollFd::from_borrowed_fd(file, event)], None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until there is something to read on stdin, or its end.
    pub fn stdin() -> io::Result<()> {
        wait(rustix::stdio::stdin(), PollFlags::IN)
    }

    /// Stdout without a buffer: std's forgets what it could not write.
    pub struct Stdout;

    impl Write for Stdout {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            loop {
                match rustix::io::write(rustix::stdio::stdout(), bytes) {
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => wait(rustix::stdio::stdout(), PollFlags::OUT)?,
                    written => return Ok(written?),
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Writes all of it, however often that has to wait.
    pub fn write_all<F: Write + AsFd>(file: &mut F, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match file.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => bytes = &bytes[length..],
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    wait(file.as_fd(), PollFlags::OUT)?;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Whether stdin and stdout are the same socket, as inetd, systemd (`Accept=yes`) and socat make them.
    pub fn is_one_socket() -> bool {
        let file = |fd| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino, stat.st_mode));
        match (file(rustix::stdio::stdin()), file(rustix::stdio::stdout())) {
            (Ok(stdin), Ok(stdout)) => {
                stdin == stdout && rustix::fs::FileType::from_raw_mode(stdin.2).is_socket()
            }
            _ => false,
        }
    }
}
