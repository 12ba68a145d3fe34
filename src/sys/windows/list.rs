//! The pipes that there are, as the file system that they are shows them.

use std::io;

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_SEM_TIMEOUT};

use super::os;
use crate::{PipeEntry, PipeName, PipeState, error};

pub(crate) fn list() -> io::Result<Vec<PipeEntry>> {
    let mut entries = Vec::new();
    let listed = os::list(|found| {
        entries.push(PipeEntry {
            address: PipeName::from_os(format!(r"\\.\pipe\{}", found.name).into()),
            name: found.name,
            state: PipeState::Live,
            instances: Some(found.instances),
            max_instances: os::limit(found.max_instances),
        });
    });
    match listed {
        Ok(()) => Ok(entries),
        Err(source) if os::is_wine() => Err(error::explained(
            io::ErrorKind::Unsupported,
            "list",
            &PipeName::from_os(r"\\.\pipe\".into()),
            "Wine does not list its pipes, but tells of one by its name",
            source,
        )),
        Err(source) => Err(error::from_os(
            "list",
            &PipeName::from_os(r"\\.\pipe\".into()),
            source,
        )),
    }
}

pub(crate) fn state(name: &PipeName) -> io::Result<PipeState> {
    match os::wait_named_pipe(name.os_path()) {
        Ok(()) => Ok(PipeState::Live),
        Err(source) => match os::code(&source) {
            // All its instances are taken.
            ERROR_SEM_TIMEOUT => Ok(PipeState::Live),
            ERROR_FILE_NOT_FOUND => Err(error::explained(
                io::ErrorKind::NotFound,
                "look at",
                name,
                "no such pipe: nobody serves this name",
                source,
            )),
            _ => Err(source),
        },
    }
}
