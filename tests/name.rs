//! Names: every row of the table, and every wrong name with its sentence.

mod common;

use std::io::ErrorKind;

use npipe::{PipeListener, PipeName, PipeStream};

/// `mypipe` in every spelling of this machine's.
const SPELLINGS: [&str; 8] = [
    "mypipe",
    r"\\.\pipe\mypipe",
    "//./pipe/mypipe",
    r"\\?\pipe\mypipe",
    "npipe:////./pipe/mypipe",
    "npipe://./pipe/mypipe",
    r"\\.\PIPE\mypipe",
    "NPIPE:////./pipe/mypipe",
];

fn temp() -> String {
    let dir = std::env::var("TMPDIR").unwrap_or_else(|_| "/tmp".into());
    format!("{}/", dir.trim_end_matches('/'))
}

#[test]
fn every_spelling_is_the_same_address() {
    let address = if cfg!(windows) {
        r"\\.\pipe\mypipe".to_owned()
    } else {
        format!("{}CoreFxPipe_mypipe", temp())
    };
    for spelling in SPELLINGS {
        let name = PipeName::new(spelling).unwrap();
        assert_eq!(name.to_string(), address, "{spelling}");
        assert_eq!(name.os_path().to_str(), Some(&*address), "{spelling}");
        assert_eq!(name.network(), "pipe");
        assert_eq!(name, PipeName::new("mypipe").unwrap());
        // What is printed can be pasted.
        assert_eq!(PipeName::new(name.to_string()).unwrap(), name);
    }
}

#[test]
fn every_spelling_meets_every_other() {
    let _watchdog = common::watchdog(60);
    let plain = common::name("spelling");
    let listener = PipeListener::bind(&plain).unwrap();
    for spelling in SPELLINGS {
        let spelling = spelling.replace("mypipe", &plain);
        let client = PipeStream::connect(&spelling).unwrap();
        let server = listener.accept().unwrap();
        assert_eq!(client.peer_addr(), server.local_addr(), "{spelling}");
        assert_eq!(client.local_addr(), listener.local_addr(), "{spelling}");
    }
}

/// What is wrong with a name, and a part of what has to be said about it.
fn wrong(name: &str, kind: ErrorKind, says: &[&str]) {
    let error = PipeName::new(name).unwrap_err();
    assert_eq!(error.kind(), kind, "{name:?}: {error}");
    for part in says {
        assert!(error.to_string().contains(part), "{name:?}: {error}");
    }
    // Every function that takes a name says the same.
    assert_eq!(
        PipeListener::bind(name).unwrap_err().to_string(),
        error.to_string()
    );
    assert_eq!(
        PipeStream::connect(name).unwrap_err().to_string(),
        error.to_string()
    );
}

#[test]
fn wrong_names_are_told_why() {
    let invalid = ErrorKind::InvalidInput;
    wrong("", invalid, &["empty", "mypipe"]);
    wrong("a\0b", invalid, &["NUL"]);
    wrong("anonymous", invalid, &["reserved by .NET"]);
    wrong("Anonymous", invalid, &["reserved by .NET"]);
    wrong(r"\\.\pipe\anonymous", invalid, &["reserved by .NET"]);
    wrong(r"\\.\pipe\", invalid, &["empty", r"\\.\pipe\mypipe"]);
    wrong("npipe:mypipe", invalid, &["npipe:////./pipe/mypipe"]);
    wrong(r"\\HOST\share\x", invalid, &[r"\\.\pipe\NAME"]);
    let long = "x".repeat(300);
    let limit = if cfg!(windows) {
        "256"
    } else if cfg!(target_os = "linux") {
        "107"
    } else {
        "103"
    };
    wrong(&long, invalid, &["long", limit, "shorter"]);
}

#[test]
fn the_longest_name_works_and_one_more_does_not() {
    let (limit, prefix) = if cfg!(windows) {
        (256, r"\\.\pipe\".len())
    } else if cfg!(target_os = "linux") {
        (107, temp().len() + "CoreFxPipe_".len())
    } else {
        (103, temp().len() + "CoreFxPipe_".len())
    };
    let mut name = common::name("long");
    name.extend(std::iter::repeat_n('x', limit - prefix - name.len()));
    let listener = PipeListener::bind(&name).unwrap();
    PipeStream::connect(&name).unwrap();
    drop(listener);
    name.push('x');
    assert_eq!(
        PipeName::new(&name).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

#[cfg(unix)]
mod unix {
    use super::*;

    #[test]
    fn a_rooted_path_is_taken_as_it_is() {
        let name = PipeName::new("/run/app.sock").unwrap();
        assert_eq!(name.to_string(), "/run/app.sock");
        assert_eq!(name.os_path().to_str(), Some("/run/app.sock"));
    }

    #[test]
    fn what_only_windows_has_is_told_so() {
        wrong(
            r"\\HOST\pipe\mypipe",
            ErrorKind::Unsupported,
            &["HOST", "Windows alone", "ssh"],
        );
        wrong(r"A\B", ErrorKind::InvalidInput, &[r"'\\'", "on Unix"]);
        wrong(
            r"ProtectedPrefix\Administrators\X",
            ErrorKind::InvalidInput,
            &["on Unix"],
        );
        wrong("a/b", ErrorKind::InvalidInput, &["'/'", "path that begins"]);
    }

    #[test]
    fn a_name_must_be_unicode_and_a_path_need_not() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let error = PipeName::new(OsStr::from_bytes(b"\xff")).unwrap_err();
        assert!(error.to_string().contains("Unicode"), "{error}");
        PipeName::new(OsStr::from_bytes(b"/tmp/\xff")).unwrap();
    }
}

#[cfg(windows)]
mod windows {
    use super::*;

    #[test]
    fn a_backslash_inside_is_allowed() {
        for (given, path) in [
            (r"A\B", r"\\.\pipe\A\B"),
            ("A/B", r"\\.\pipe\A\B"),
            (
                r"ProtectedPrefix\Administrators\X",
                r"\\.\pipe\ProtectedPrefix\Administrators\X",
            ),
        ] {
            assert_eq!(PipeName::new(given).unwrap().to_string(), path);
        }
        let name = format!(r"npipe\{}", common::name("inside"));
        let listener = PipeListener::bind(&name).unwrap();
        PipeStream::connect(&name).unwrap();
        listener.accept().unwrap();
    }

    #[test]
    fn case_makes_no_difference_to_a_server() {
        let name = common::name("case");
        let listener = PipeListener::bind(&name).unwrap();
        PipeStream::connect(name.to_uppercase()).unwrap();
        listener.accept().unwrap();
    }

    #[test]
    fn a_rooted_path_is_no_pipe() {
        wrong(
            "/run/app.sock",
            ErrorKind::InvalidInput,
            &["path of the file system", "plain name"],
        );
    }

    #[test]
    fn another_machine_can_be_connected_to_and_not_listened_at() {
        let name = PipeName::new(r"\\HOST\pipe\mypipe").unwrap();
        assert_eq!(name.to_string(), r"\\HOST\pipe\mypipe");
        let error = PipeListener::bind(r"\\HOST\pipe\mypipe").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("another machine"), "{error}");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        wrong(r"..\mypipe", ErrorKind::InvalidInput, &["no pipe"]);
        wrong("..", ErrorKind::InvalidInput, &["no pipe"]);
    }
}

#[test]
fn a_path_means_a_file() {
    let invalid = |path: &str| {
        let error = PipeName::from_path(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}: {error}");
    };
    invalid("");
    invalid("a\0b");
    if cfg!(windows) {
        invalid("app.sock");
        invalid(r"C:\app.sock");
        let name = PipeName::from_path(r"\\.\pipe\mypipe").unwrap();
        assert_eq!(name, PipeName::new("mypipe").unwrap());
        return;
    }
    let here = std::env::current_dir().unwrap();
    for (given, means) in [
        ("app.sock", here.join("app.sock")),
        ("./run/app.sock", here.join("run/app.sock")),
        ("/run/app.sock", "/run/app.sock".into()),
        // What is an address of Windows's elsewhere is a path where a path is meant.
        ("npipe:app", here.join("npipe:app")),
    ] {
        assert_eq!(PipeName::from_path(given).unwrap().os_path(), means);
    }
    invalid(&"x".repeat(200));
}
