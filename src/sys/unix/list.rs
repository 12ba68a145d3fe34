//! The pipes that there are: the sockets at the places that .NET gives to names.

use std::io;

use super::name;
use super::os;
use super::place;
use crate::{PipeEntry, PipeName, PipeState};

pub(crate) fn list() -> io::Result<Vec<PipeEntry>> {
    let directory = name::directory();
    let mut entries = Vec::new();
    for file in std::fs::read_dir(&directory)? {
        // One that goes while we look is none.
        let Ok(file) = file else { continue };
        let file_name = file.file_name();
        let Some(name) = file_name
            .to_str()
            .and_then(|name| name.strip_prefix(name::PREFIX))
        else {
            continue;
        };
        let path = file.path();
        if !place::is_socket(&path) {
            continue;
        }
        let served = os::address(&path).and_then(|address| place::is_served(&address));
        entries.push(PipeEntry {
            name: name.to_owned(),
            address: PipeName::from_os(path),
            state: match served {
                Ok(true) => PipeState::Live,
                Ok(false) => PipeState::Stale,
                Err(_) => PipeState::Unknown,
            },
            instances: None,
            max_instances: None,
        });
    }
    Ok(entries)
}
