//! npipe's blocking half, in the ways in which it is used.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use npipe::{ListenOptions, PipeListener, PipeStream};

use crate::work::Pipes;

/// How the streams are used.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    /// By a shared reference, with a clone beside it.
    pub shared: bool,
    /// Under a deadline that is far away.
    pub deadline: bool,
    /// Spinning before they block.
    pub busy: bool,
    /// With buffers of 4 KiB.
    pub small: bool,
    /// A message pipe, read by `recv`.
    pub messages: bool,
    /// A message pipe, written and read as bytes are.
    pub bytes: bool,
    /// A message pipe, read by `recv_part`.
    pub parts: bool,
}

#[derive(Debug)]
pub enum Stream {
    Alone(PipeStream),
    Shared(PipeStream, #[allow(dead_code)] PipeStream),
    /// With what was received last.
    Messages(PipeStream, Vec<u8>),
    Parts(PipeStream),
}

impl Ours {
    fn stream(&self, stream: PipeStream) -> io::Result<Stream> {
        if self.deadline {
            stream.set_deadline(Some(Instant::now() + Duration::from_secs(24 * 60 * 60)))?;
        }
        if self.busy {
            stream.set_busy_poll(Some(Duration::from_millis(1)))?;
        }
        Ok(if self.parts {
            Stream::Parts(stream)
        } else if self.messages && !self.bytes {
            Stream::Messages(stream, Vec::new())
        } else if self.shared {
            let clone = stream.try_clone()?;
            Stream::Shared(stream, clone)
        } else {
            Stream::Alone(stream)
        })
    }
}

impl Pipes for Ours {
    type Listener = PipeListener;
    type Stream = Stream;

    fn bind(&self, address: &str) -> io::Result<PipeListener> {
        let options = ListenOptions::new().message_mode(self.messages);
        let options = if self.small {
            options.input_buffer_size(4096).output_buffer_size(4096)
        } else {
            options
        };
        options.bind(address)
    }

    fn accept(&self, listener: &mut PipeListener) -> io::Result<Stream> {
        self.stream(listener.accept()?)
    }

    fn connect(&self, address: &str) -> io::Result<Stream> {
        let options = npipe::ConnectOptions::new().timeout(Duration::from_secs(30));
        self.stream(options.connect(address)?)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Alone(stream) => stream.read(buffer),
            Stream::Shared(stream, _) => (&*stream).read(buffer),
            Stream::Messages(stream, message) => {
                message.clear();
                Ok(stream.recv(message)?.unwrap_or(0))
            }
            Stream::Parts(stream) => Ok(stream.recv_part(buffer)?.len),
        }
    }

    /// The bytes of a message are looked at by nobody here but those of a request.
    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut at = 0;
        while at < buffer.len() {
            match self.read(&mut buffer[at..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => {
                    if let (Stream::Messages(_, message), crate::protocol::REQUEST) =
                        (&*self, buffer.len())
                    {
                        buffer[at..at + length].copy_from_slice(message);
                    }
                    at += length;
                }
            }
        }
        Ok(())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Alone(stream) => stream.write(bytes),
            Stream::Shared(stream, _) => (&*stream).write(bytes),
            Stream::Messages(stream, _) | Stream::Parts(stream) => {
                stream.send(bytes)?;
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
