//! `PipeName`: every spelling of a pipe's name that people paste, and the one address that it stands for.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{self, Fault, Reason};
use crate::spelling::Spelling;
use crate::sys;

/// The address of a named pipe, checked, in the form that the system takes.
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipeName {
    path: PathBuf,
    remote: bool,
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
    ///   the name, .NET's reserved `anonymous`, or a spelling that has no meaning on this system (see the table).
    ///   The sentence says which, and what is allowed.
    /// * `Unsupported`: another machine's pipe, on Unix.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use npipe::PipeName;
    ///
    /// for given in ["mypipe", "", "two\0parts"] {
    ///     match PipeName::new(given) {
    ///         Ok(name) => println!("{name}"),
    ///         // The sentence says what is wrong with it.
    ///         Err(e) if e.kind() == ErrorKind::InvalidInput => println!("{e}"),
    ///         Err(e) => return Err(e),
    ///     }
    /// }
    /// # std::io::Result::Ok(())
    /// ```
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
        PipeName::of(&spelling, &shown)
    }

    /// Takes a path for those who mean a file: a relative one is made absolute, where [`new`](PipeName::new) takes
    /// `app.sock` for a name.
    ///
    /// # Errors
    ///
    /// * `InvalidInput`: empty, too long, or with a NUL inside. Windows: any path but a pipe's, `\\.\pipe\mypipe`.
    /// * The system's error when there is no current directory.
    ///
    /// # Examples
    ///
    /// ```
    /// use npipe::PipeName;
    ///
    /// # if cfg!(windows) { return Ok(()); }
    /// let name = PipeName::from_path("app.sock")?;
    /// assert_eq!(name.os_path(), std::env::current_dir()?.join("app.sock"));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_path(path: impl AsRef<Path>) -> io::Result<PipeName> {
        let path = path.as_ref();
        let shown = path.to_string_lossy();
        if path.as_os_str().is_empty() {
            let why = "a path is needed, and this one is empty: give for example \"app.sock\"";
            return Err(invalid("\"\"", why));
        }
        if cfg!(windows) {
            let bytes = path.as_os_str().as_encoded_bytes();
            if !bytes.starts_with(br"\\") && !bytes.starts_with(b"//") {
                let why = r"on Windows a pipe's path begins with \\.\pipe\, and pipes are in no other directory";
                return Err(invalid(&shown, why));
            }
            return PipeName::new(path);
        }
        if path.as_os_str().as_encoded_bytes().contains(&0) {
            let why = "a path cannot contain a NUL character";
            return Err(invalid(format_args!("{shown:?}"), why));
        }
        let absolute = std::path::absolute(path).map_err(|e| error::named(OPERATION, &shown, e))?;
        PipeName::of(&Spelling::Rooted(absolute.as_os_str()), &shown)
    }

    fn of(spelling: &Spelling<'_>, shown: &str) -> io::Result<PipeName> {
        let path = sys::name::address(spelling).map_err(|(kind, why)| {
            Fault::new(Reason::WrongName, why)
                .kind(kind)
                .of(OPERATION, shown)
        })?;
        let remote = matches!(spelling, Spelling::Remote { .. });
        Ok(PipeName { path, remote })
    }

    /// `"pipe"`, as Go's `net.Addr` calls this network.
    pub fn network(&self) -> &'static str {
        "pipe"
    }

    /// The path that is passed to the system: `\\.\pipe\mypipe`, `/tmp/CoreFxPipe_mypipe`.
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

/// The full address, which means the same wherever a name is taken.
impl AsRef<OsStr> for PipeName {
    fn as_ref(&self) -> &OsStr {
        self.path.as_os_str()
    }
}

/// Prints the full address.
impl fmt::Display for PipeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.as_os_str().is_empty() {
            return f.write_str("(a pipe without a name)");
        }
        self.path.display().fmt(f)
    }
}

/// As [`PipeName::new`].
///
/// # Examples
///
/// ```
/// use npipe::PipeName;
///
/// let name: PipeName = "mypipe".parse()?;
/// assert!("".parse::<PipeName>().is_err());
/// # std::io::Result::Ok(())
/// ```
impl FromStr for PipeName {
    type Err = io::Error;

    fn from_str(name: &str) -> io::Result<PipeName> {
        PipeName::new(name)
    }
}

/// As [`PipeName::new`].
///
/// # Examples
///
/// ```
/// use npipe::PipeName;
///
/// let name = PipeName::try_from("mypipe")?;
/// assert!(PipeName::try_from("").is_err());
/// # std::io::Result::Ok(())
/// ```
impl TryFrom<&str> for PipeName {
    type Error = io::Error;

    fn try_from(name: &str) -> io::Result<PipeName> {
        PipeName::new(name)
    }
}

/// As text, in any of the spellings: a configuration says `pipe = "mypipe"`. Written is the full address.
#[cfg(feature = "serde")]
impl serde::Serialize for PipeName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.path.to_str() {
            Some(address) => serializer.serialize_str(address),
            None => Err(serde::ser::Error::custom(format_args!(
                "the path of the pipe {self} is not Unicode"
            ))),
        }
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for PipeName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<PipeName, D::Error> {
        let name = String::deserialize(deserializer)?;
        PipeName::new(&name).map_err(serde::de::Error::custom)
    }
}

fn invalid(shown: impl fmt::Display, why: impl Into<String>) -> io::Error {
    Fault::new(Reason::WrongName, why).of(OPERATION, shown)
}
