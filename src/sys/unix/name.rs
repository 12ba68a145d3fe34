//! The path of a pipe's socket: .NET's rule.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::spelling::Spelling;

/// What `sun_path` holds beside its closing NUL: 108 bytes on Linux, 104 on macOS and the BSDs.
const MAX_PATH: usize = if cfg!(any(target_os = "linux", target_os = "android")) {
    107
} else {
    103
};

/// What .NET puts before a name: `Path.Combine(Path.GetTempPath(), "CoreFxPipe_") + name`.
pub(super) const PREFIX: &str = "CoreFxPipe_";

/// Where names without a path are, with its closing slash.
pub(super) fn directory() -> OsString {
    let mut directory = std::env::var_os("TMPDIR")
        .filter(|dir| !dir.is_empty())
        .unwrap_or_else(|| OsString::from("/tmp"));
    if !directory.as_encoded_bytes().ends_with(b"/") {
        directory.push("/");
    }
    directory
}

pub(crate) fn address(spelling: &Spelling<'_>) -> Result<PathBuf, (ErrorKind, String)> {
    let path = match *spelling {
        Spelling::Rooted(path) => PathBuf::from(path),
        Spelling::Remote { host, .. } => {
            return Err((
                ErrorKind::Unsupported,
                format!(
                    "the pipes of another machine ({host}) can be reached from Windows alone: \
                     carry this one over ssh, or a TCP relay on {host}"
                ),
            ));
        }
        Spelling::Local(name) => {
            if let Some(wrong) = name.chars().find(|c| matches!(c, '/' | '\\')) {
                return Err((
                    ErrorKind::InvalidInput,
                    format!(
                        "a name cannot contain {wrong:?} on Unix: use a plain name, or a path that begins with '/'"
                    ),
                ));
            }
            let mut path = directory();
            path.push(PREFIX);
            path.push(name);
            PathBuf::from(path)
        }
    };
    let length = path.as_os_str().len();
    if length > MAX_PATH {
        return Err((
            ErrorKind::InvalidInput,
            format!(
                "its address {} is {length} bytes long, and a socket's address holds at most {MAX_PATH}: \
                 choose a shorter name{}",
                path.display(),
                if matches!(spelling, Spelling::Local(_)) {
                    " or TMPDIR"
                } else {
                    ""
                }
            ),
        ));
    }
    Ok(path)
}
