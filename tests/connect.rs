//! Connecting, as one system alone has it. What is the same everywhere is in `both/`.

#![cfg(unix)]

mod common;

use std::io::ErrorKind;

use common::name;
use npipe::PipeStream;

#[test]
fn what_is_no_socket_is_called_so() {
    let directory = std::env::temp_dir().join(name("no-socket"));
    std::fs::create_dir(&directory).unwrap();
    let file = directory.join("file");
    std::fs::write(&file, "").unwrap();
    for path in [&file, &directory] {
        for error in [
            PipeStream::connect(path).unwrap_err(),
            npipe::state(path).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains("is no socket"), "{error}");
        }
    }
    // Its permissions come first, but who may see it may know.
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let error = PipeStream::connect(&file).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let link = directory.join("link");
    std::os::unix::fs::symlink(directory.join("nothing"), &link).unwrap();
    let error = PipeStream::connect(&link).unwrap_err();
    assert!(
        error.to_string().contains("no socket at this path"),
        "{error}"
    );
    std::fs::remove_dir_all(directory).unwrap();
}
