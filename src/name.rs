//! `PipeName`: every spelling of a pipe's name that people paste, and the one address that it stands for.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::error;
use crate::sys;

/// The address of a named pipe, checked, in the form in which the system is given it.
///
/// | given | Windows | Unix |
/// |---|---|---|
/// | `mypipe` | `\\.\pipe\mypipe` | `$TMPDIR/CoreFxPipe_mypipe`, or `/tmp/CoreFxPipe_mypipe` |
/// | `\\.\pipe\mypipe`, `//./pipe/mypipe`, `\\?\pipe\mypipe`, `npipe:////./pipe/mypipe`, `npipe://./pipe/mypipe` | the same | the same as `mypipe` |
/// | `\\HOST\pipe\mypipe` | connect only: the system carries it over SMB | `Unsupported` |
/// | `/run/app.sock` | `InvalidInput` | that path, verbatim |
/// | `A\B` | `\\.\pipe\A\B` | `InvalidInput` |
///
/// The Unix addresses are .NET's own (`PipeStream.Unix.cs` in dotnet/runtime), so that the same name meets a C#
/// program on every system. `TMPDIR` is read at each call: two programs with different ones do not meet.
///
/// # Examples
///
/// ```
/// use npipe::PipeName;
///
/// let name = PipeName::new(r"\\.\pipe\mypipe")?;
/// assert_eq!(name, PipeName::new("mypipe")?);
/// assert_eq!(name.network(), "pipe");
/// println!("{name}");
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipeName {
    path: PathBuf,
    remote: bool,
}

/// What somebody meant by what they wrote, before any system has a say in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Spelling<'a> {
    /// A name without an address: `mypipe`, or what follows `\\.\pipe\`.
    Local(&'a str),
    /// A pipe of another machine: `\\HOST\pipe\NAME`.
    Remote { host: &'a str, name: &'a str },
    /// A path of the file system: `/run/app.sock`.
    Rooted(&'a OsStr),
}

const OPERATION: &str = "pipe name";

/// .NET keeps this name for its anonymous pipes and refuses it, in any case, on every system.
const RESERVED: &str = "anonymous";

impl PipeName {
    /// Reads a name in any of the spellings of the table above.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: empty, too long (256 characters on Windows, the leading `\\.\pipe\` among them; on Unix
    ///   what a socket's address holds: 107 bytes on Linux, 103 on macOS and the BSDs), with a NUL or a `/` inside
    ///   the name, .NET's reserved `anonymous`, or a spelling that this system has no meaning for (see the table).
    ///   The sentence says which, and what is allowed.
    /// * `Unsupported`: another machine's pipe, on Unix.
    pub fn new(name: impl AsRef<OsStr>) -> io::Result<PipeName> {
        let given = name.as_ref();
        let shown = given.to_string_lossy();
        if given.is_empty() {
            return Err(invalid(
                "\"\"",
                "a name is needed, and this one is empty: give for example \"mypipe\"",
            ));
        }
        if given.as_encoded_bytes().contains(&0) {
            return Err(invalid(
                format_args!("{shown:?}"),
                "a name cannot contain a NUL character",
            ));
        }
        let spelling = Spelling::of(given).map_err(|why| invalid(&shown, why))?;
        if let Spelling::Local(name) | Spelling::Remote { name, .. } = spelling {
            if name.is_empty() {
                return Err(invalid(
                    &shown,
                    "the part after `pipe` is empty: give for example \\\\.\\pipe\\mypipe",
                ));
            }
            if name.eq_ignore_ascii_case(RESERVED) {
                return Err(invalid(
                    &shown,
                    "\"anonymous\" is reserved by .NET for pipes without a name: choose another",
                ));
            }
        }
        let remote = matches!(spelling, Spelling::Remote { .. });
        let path = sys::name::address(&spelling)
            .map_err(|(kind, why)| error::because(kind, OPERATION, &shown, why))?;
        Ok(PipeName { path, remote })
    }

    /// `"pipe"`, as Go's `net.Addr` calls this network.
    pub fn network(&self) -> &'static str {
        "pipe"
    }

    /// The path that the system is given: `\\.\pipe\mypipe`, `/tmp/CoreFxPipe_mypipe`.
    pub fn os_path(&self) -> &Path {
        &self.path
    }

    /// Whether the pipe is another machine's, so that one can connect to it but not listen.
    #[cfg_attr(unix, allow(dead_code))] // no name is remote there; kept so that both systems read alike
    pub(crate) fn is_remote(&self) -> bool {
        self.remote
    }

    /// A name that the system itself told, which needs no check.
    pub(crate) fn from_os(path: PathBuf) -> PipeName {
        PipeName {
            path,
            remote: false,
        }
    }
}

/// Prints the full address.
/// The full address, which means the same wherever a name is taken.
impl AsRef<OsStr> for PipeName {
    fn as_ref(&self) -> &OsStr {
        self.path.as_os_str()
    }
}

impl fmt::Display for PipeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.as_os_str().is_empty() {
            return f.write_str("(a pipe without a name)");
        }
        self.path.display().fmt(f)
    }
}

fn invalid(shown: impl fmt::Display, why: impl Into<String>) -> io::Error {
    error::because(io::ErrorKind::InvalidInput, OPERATION, shown, why)
}

impl<'a> Spelling<'a> {
    fn of(given: &'a OsStr) -> Result<Spelling<'a>, &'static str> {
        const NOT_UNICODE: &str = "a name must be Unicode";
        let Some(text) = given.to_str() else {
            // A path may be any bytes where paths are; a name has to have a spelling in C# too.
            let rooted = given.as_encoded_bytes().first() == Some(&b'/');
            return if rooted {
                Ok(Spelling::Rooted(given))
            } else {
                Err(NOT_UNICODE)
            };
        };
        let url = text
            .get(..6)
            .filter(|scheme| scheme.eq_ignore_ascii_case("npipe:"))
            .map(|scheme| &text[scheme.len()..]);
        // Docker writes four slashes (an empty authority, then //./pipe/x), others two.
        let text = match url {
            Some(rest) => rest
                .strip_prefix("//")
                .filter(|r| r.starts_with("//"))
                .unwrap_or(rest),
            None => text,
        };
        match Spelling::of_unc(text) {
            Some(spelling) => Ok(spelling),
            None if url.is_some() => {
                Err("after npipe: there must be //./pipe/NAME, as in npipe:////./pipe/mypipe")
            }
            None if text.starts_with('/') => Ok(Spelling::Rooted(OsStr::new(text))),
            None if text.starts_with(r"\\") => {
                Err(r"an address in this form is \\.\pipe\NAME, or \\HOST\pipe\NAME")
            }
            None => Ok(Spelling::Local(text)),
        }
    }

    /// `\\HOST\pipe\NAME` with either slash; `.` and `?` are this machine.
    fn of_unc(text: &'a str) -> Option<Spelling<'a>> {
        let slash = |c: char| c == '\\' || c == '/';
        let rest = text
            .strip_prefix(r"\\")
            .or_else(|| text.strip_prefix("//"))?;
        let (host, rest) = rest.split_once(slash)?;
        let (pipe, name) = rest.split_once(slash)?;
        if host.is_empty() || !pipe.eq_ignore_ascii_case("pipe") {
            return None;
        }
        if host == "." || host == "?" {
            return Some(Spelling::Local(name));
        }
        // With forward slashes and a host this is an ordinary path where there are such.
        if cfg!(unix) && text.starts_with('/') {
            return None;
        }
        Some(Spelling::Remote { host, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_mean_what_people_mean() {
        for local in [
            "mypipe",
            r"\\.\pipe\mypipe",
            "//./pipe/mypipe",
            r"\\?\pipe\mypipe",
            r"\\.\PIPE\mypipe",
            "npipe:////./pipe/mypipe",
            "npipe://./pipe/mypipe",
            "NPIPE://./pipe/mypipe",
        ] {
            assert_eq!(
                Spelling::of(OsStr::new(local)),
                Ok(Spelling::Local("mypipe")),
                "{local}"
            );
        }
        assert_eq!(
            Spelling::of(OsStr::new(r"\\HOST\pipe\x")),
            Ok(Spelling::Remote {
                host: "HOST",
                name: "x"
            })
        );
        assert_eq!(
            Spelling::of(OsStr::new("/run/app.sock")),
            Ok(Spelling::Rooted(OsStr::new("/run/app.sock")))
        );
        assert!(Spelling::of(OsStr::new(r"\\HOST\share\x")).is_err());
        assert!(Spelling::of(OsStr::new("npipe:mypipe")).is_err());
    }
}
