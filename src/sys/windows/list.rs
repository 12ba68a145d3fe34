//! The existing pipes, as the pipe file system lists them.

use std::io;

use windows_sys::Win32::Foundation::{ERROR_BAD_DEV_TYPE, ERROR_FILE_NOT_FOUND, ERROR_SEM_TIMEOUT};

use super::os;
use crate::error::{self, Fault, Reason};
use crate::info::{PipeEntry, PipeState};
use crate::name::PipeName;

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
        // Wine 10: its pipes are no directory.
        Err(source) if os::code(&source) == ERROR_BAD_DEV_TYPE => {
            let why =
                "this system does not list its pipes (Wine is one such): ask for one by its name";
            Err(Fault::new(Reason::NotHere, why)
                .source(source)
                .of("list", r"\\.\pipe\"))
        }
        Err(source) => Err(error::named("list", r"\\.\pipe\", source)),
    }
}

pub(crate) fn state(name: &PipeName) -> io::Result<PipeState> {
    match os::wait_named_pipe(name.os_path()) {
        Ok(()) => Ok(PipeState::Live),
        Err(source) => match os::code(&source) {
            // All its instances are taken.
            ERROR_SEM_TIMEOUT => Ok(PipeState::Live),
            ERROR_FILE_NOT_FOUND => {
                let why = "no such pipe: nobody serves this name";
                Err(Fault::new(Reason::NoSuchPipe, why).source(source).into())
            }
            _ => Err(source),
        },
    }
}
