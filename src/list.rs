//! Lists the existing pipes, and tells whether one is served, without opening any.

use std::ffi::OsStr;
use std::io;

use crate::error;
use crate::info::{PipeEntry, PipeState};
use crate::name::PipeName;
use crate::sys;

/// Lists the existing pipes by name, without opening any: an open would take an instance away from a client.
///
/// Windows: all pipes of this machine (`NtQueryDirectoryFile` on `\\.\pipe\`). Unix: the sockets where .NET puts them for a
/// name, `$TMPDIR/CoreFxPipe_*` or `/tmp/CoreFxPipe_*`; sockets at other paths are listed nowhere.
///
/// # Errors
///
/// The system's error. Wine 10 does not list pipes: `Unsupported`.
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
/// by a socket of another type, which the server does not notice; a server that has its name already and is about to listen
/// is `Live` too.
///
/// # Errors
///
/// * `NotFound`: no such pipe. Unix: what is at its path may also be no socket, which the sentence says.
/// * `InvalidInput`, `Unsupported`: as for [`PipeName::new`].
/// * The system's error, for example for a directory that this user may not search.
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
    sys::list::state(&name).map_err(|e| error::named("look at", &name, e))
}
