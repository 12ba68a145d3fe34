//! The pipes that there are, as the file system that they are shows them.

use std::io;

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
            "Wine does not list its pipes",
            source,
        )),
        Err(source) => Err(error::from_os(
            "list",
            &PipeName::from_os(r"\\.\pipe\".into()),
            source,
        )),
    }
}
