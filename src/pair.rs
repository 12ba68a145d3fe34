//! Two connected ends without a name.

use std::io;
use std::sync::Arc;

use crate::error;
use crate::kinds::{Directions, Role};
use crate::name::PipeName;
use crate::options::ListenOptions;
use crate::stream::{Kind, PipeStream};
use crate::sys;

const OPERATION: &str = "make a pair of";
const NAMELESS: &str = "ends of a pipe without a name";

impl ListenOptions {
    /// Two connected ends of a pipe with these options, the server's end first: for threads, tests, and children that
    /// inherit one. The pipe has no name.
    ///
    /// Unix: `socketpair(2)`. Windows: a pipe with a random name, of this user alone, whose one instance has its client.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`, `Unsupported`: as for [`bind`](ListenOptions::bind).
    /// * The system's error when it has no descriptors left.
    ///
    /// # Examples
    ///
    /// ```
    /// use npipe::ListenOptions;
    /// # if cfg!(not(any(windows, target_os = "linux"))) { return Ok(()); }
    ///
    /// let (server, client) = ListenOptions::new().message_mode(true).pair()?;
    /// client.send(b"hello")?;
    /// let mut message = Vec::new();
    /// assert_eq!(server.recv(&mut message)?, Some(5));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn pair(&self) -> io::Result<(PipeStream, PipeStream)> {
        self.check()
            .map_err(|fault| fault.of(OPERATION, NAMELESS))?;
        let (server, client) = sys::pair(self).map_err(|e| error::named(OPERATION, NAMELESS, e))?;
        let name = Arc::new(PipeName::from_os(Default::default()));
        let directions = self.direction.of_server();
        let end = |io, role, directions| {
            let kind = Kind {
                role,
                mode: self.mode(),
                directions,
                max_message_size: self.max_message_size,
            };
            PipeStream::new(io, kind, name.clone())
        };
        let other_way = Directions {
            read: directions.write,
            write: directions.read,
        };
        Ok((
            end(server, Role::Server, directions),
            end(client, Role::Client, other_way),
        ))
    }
}

impl PipeStream {
    /// Two connected ends of a byte pipe without a name, the server's end first: [`ListenOptions::pair`] with the defaults.
    ///
    /// # Errors
    ///
    /// The system's error when it has no descriptors left.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use npipe::PipeStream;
    ///
    /// let (mut server, mut client) = PipeStream::pair()?;
    /// client.write_all(b"hello")?;
    /// let mut word = [0; 5];
    /// server.read_exact(&mut word)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn pair() -> io::Result<(PipeStream, PipeStream)> {
        ListenOptions::new().pair()
    }
}
