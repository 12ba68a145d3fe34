//! What the system knows of a pipe: of one that is open, and of all that there are.

use std::ffi::OsStr;
use std::io;

use crate::{PipeListener, PipeMode, PipeName, PipeStream, error, sys};

/// What a pipe is like, as far as the system tells. From [`PipeStream::info`] and [`PipeListener::info`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipeInfo {
    pub(crate) mode: PipeMode,
    pub(crate) instances: Option<u32>,
    pub(crate) max_instances: Option<u32>,
    pub(crate) input_buffer_size: Option<u32>,
    pub(crate) output_buffer_size: Option<u32>,
}

impl PipeInfo {
    /// Whether the pipe keeps message boundaries.
    pub fn mode(&self) -> PipeMode {
        self.mode
    }

    /// Windows: how many instances of the pipe there are, those that wait for a client included.
    pub fn instances(&self) -> Option<u32> {
        self.instances
    }

    /// How many streams of the listener, or instances of the pipe, there may be; None where there is no limit, or none is
    /// known.
    ///
    /// Of a listener: what [`ListenOptions::max_instances`](crate::ListenOptions::max_instances) asked for, which the
    /// system is not told. Of a stream, Windows: the system's number, which other servers set.
    pub fn max_instances(&self) -> Option<u32> {
        self.max_instances
    }

    /// How many bytes the client can write ahead of the server's reads; None where the system does not tell.
    pub fn input_buffer_size(&self) -> Option<u32> {
        self.input_buffer_size
    }

    /// How many bytes the server can write ahead of the client's reads; None where the system does not tell.
    pub fn output_buffer_size(&self) -> Option<u32> {
        self.output_buffer_size
    }
}

impl PipeStream {
    /// What the system knows of this pipe. Windows: `NtQueryInformationFile`, `FilePipeLocalInformation`; Unix: the
    /// send buffer of this end.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn info(&self) -> io::Result<PipeInfo> {
        self.io()
            .info(self.role(), self.mode())
            .map_err(|e| error::from_os("look at", self.peer_addr(), e))
    }
}

impl PipeListener {
    /// What the system knows of this listener's pipe.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn info(&self) -> io::Result<PipeInfo> {
        self.sys()
            .info(self.mode())
            .map_err(|e| error::from_os("look at", self.local_addr(), e))
    }
}

/// Whether anybody serves a pipe. From [`state`] and [`PipeEntry::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PipeState {
    /// A server has it.
    Live,
    /// Unix: a socket file whose server is gone.
    Stale,
    /// Unix: this user may not find out.
    Unknown,
}

/// A pipe that was found by [`list`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipeEntry {
    pub(crate) name: String,
    pub(crate) address: PipeName,
    pub(crate) state: PipeState,
    pub(crate) instances: Option<u32>,
    pub(crate) max_instances: Option<u32>,
}

impl PipeEntry {
    /// The name as one would give it to [`PipeStream::connect`]: `mypipe`.
    ///
    /// What is not Unicode in it shows as U+FFFD, and such a name leads nowhere: [`path`](PipeEntry::path) and
    /// [`address`](PipeEntry::address) are exact.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The full address.
    pub fn address(&self) -> &PipeName {
        &self.address
    }

    /// The path that the system is given.
    pub fn path(&self) -> &std::path::Path {
        self.address.os_path()
    }

    /// Whether anybody serves it.
    pub fn state(&self) -> PipeState {
        self.state
    }

    /// Windows: how many instances there are.
    pub fn instances(&self) -> Option<u32> {
        self.instances
    }

    /// Windows: how many there may be; None for no limit.
    pub fn max_instances(&self) -> Option<u32> {
        self.max_instances
    }
}

/// The pipes that there are, by name, without opening any: an open would take an instance away from a client.
///
/// Windows: all pipes of this machine (`NtQueryDirectoryFile` on `\\.\pipe\`). Unix: the sockets where .NET puts them for a
/// name, `$TMPDIR/CoreFxPipe_*` or `/tmp/CoreFxPipe_*`; those at paths of their own are nowhere listed.
///
/// # Errors
///
/// What the system says. Wine 10 does not list pipes: `Unsupported`.
///
/// # Examples
///
/// ```no_run
/// for pipe in npipe::list()? {
///     println!("{} {:?}", pipe.name(), pipe.state());
/// }
/// # std::io::Result::Ok(())
/// ```
pub fn list() -> io::Result<Vec<PipeEntry>> {
    let mut entries = sys::list::list()?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Whether anybody serves the pipe `name`, without opening it: an open would take an instance away from a client.
///
/// Windows: `WaitNamedPipe`, for 1 ms if all instances are taken; another machine's pipe is looked for there. Unix: a probe
/// by a socket of another type, which the server does not notice.
///
/// # Errors
///
/// * `NotFound`: no such pipe. Unix: what is at its path may also be no socket, which the sentence says.
/// * `InvalidInput`, `Unsupported`: as for [`PipeName::new`].
/// * What the system says, for a directory that this user may not look into for example.
///
/// # Examples
///
/// ```no_run
/// use std::io::ErrorKind;
///
/// match npipe::state("mypipe") {
///     Ok(npipe::PipeState::Live) => println!("its server is there"),
///     Err(error) if error.kind() == ErrorKind::NotFound => println!("nobody has that name"),
///     other => println!("{other:?}"),
/// }
/// ```
pub fn state(name: impl AsRef<OsStr>) -> io::Result<PipeState> {
    let name = PipeName::new(name)?;
    sys::list::state(&name).map_err(|e| error::from_os("look at", &name, e))
}
