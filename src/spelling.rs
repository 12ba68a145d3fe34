//! What somebody meant by the name that they wrote.

use std::ffi::OsStr;

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

impl<'a> Spelling<'a> {
    pub(crate) fn of(given: &'a OsStr) -> Result<Spelling<'a>, &'static str> {
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
