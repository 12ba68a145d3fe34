//! The path of a pipe: `\\.\pipe\NAME`, as the system itself reads it.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::os;
use crate::spelling::Spelling;

/// What the path of a pipe may have, its prefix included (CreateNamedPipe).
const MAX_PATH: usize = 256;

const LOCAL: &str = r"\\.\pipe\";

pub(crate) fn address(spelling: &Spelling<'_>) -> Result<PathBuf, (ErrorKind, String)> {
    let (prefix, name) = match *spelling {
        Spelling::Local(name) => (LOCAL.to_owned(), name),
        Spelling::Remote { host, name } => (format!(r"\\{host}\pipe\"), name),
        Spelling::Rooted(path) => {
            return Err((
                ErrorKind::InvalidInput,
                format!(
                    "{} is a path of the file system, and pipes have none on Windows: use a plain name",
                    path.to_string_lossy()
                ),
            ));
        }
    };
    // The system turns slashes, and drops dots and spaces at the end; a server has to be where its clients end up.
    let path = os::full_path(&format!("{prefix}{name}"))
        .map_err(|error| (ErrorKind::InvalidInput, format!("not a path: {error}")))?;
    let inside = path
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(&prefix));
    if !inside || path.len() == prefix.len() {
        return Err((
            ErrorKind::InvalidInput,
            format!(
                "the system reads it as {path}, which is no pipe: use a name without `.` and `..` parts"
            ),
        ));
    }
    let length = path.encode_utf16().count();
    if length > MAX_PATH {
        return Err((
            ErrorKind::InvalidInput,
            format!(
                "its address is {length} characters long, and a pipe's has at most {MAX_PATH}, \
                 {} of them for {prefix}: choose a shorter name",
                prefix.len()
            ),
        ));
    }
    Ok(PathBuf::from(path))
}
