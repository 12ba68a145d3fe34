//! The existing pipes: the sockets where .NET puts them for a name.

use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::name;
use super::os;
use super::place::{self, Served};
use crate::error::{self, Fault, Reason};
use crate::info::{PipeEntry, PipeState};
use crate::name::PipeName;

pub(crate) fn list() -> io::Result<Vec<PipeEntry>> {
    let directory = PathBuf::from(name::directory());
    let files = std::fs::read_dir(&directory)
        .map_err(|e| error::named("list", PipeName::from_os(directory), e))?;
    let mut entries = Vec::new();
    for file in files {
        // One that goes while we look is none.
        let Ok(file) = file else { continue };
        let file_name = file.file_name();
        let Some(name) = file_name
            .as_encoded_bytes()
            .strip_prefix(name::PREFIX.as_bytes())
        else {
            continue;
        };
        let path = file.path();
        if !place::is_socket(&path) {
            continue;
        }
        let Some(state) = probe(&path) else { continue };
        entries.push(PipeEntry {
            name: String::from_utf8_lossy(name).into_owned(),
            state,
            address: PipeName::from_os(path),
            instances: None,
            max_instances: None,
        });
    }
    Ok(entries)
}

pub(crate) fn state(name: &PipeName) -> io::Result<PipeState> {
    let path = name.os_path();
    match std::fs::metadata(path) {
        // A link to a socket is as good as one.
        Ok(file) if file.file_type().is_socket() => {
            probe(path).ok_or_else(|| Fault::new(Reason::NotASocket, place::DATAGRAMS).into())
        }
        Ok(_) => Err(Fault::new(Reason::NotASocket, place::NO_SOCKET).into()),
        Err(source) if source.kind() == ErrorKind::NotFound => {
            Err(Fault::new(Reason::NoSuchPipe, place::NOTHING)
                .source(source)
                .into())
        }
        Err(source) => Err(source),
    }
}

/// None: it is no pipe's socket.
fn probe(path: &Path) -> Option<PipeState> {
    match os::address(path).and_then(|address| place::served(&address)) {
        Ok(Served::Pipe) => Some(PipeState::Live),
        Ok(Served::Nobody) => Some(PipeState::Stale),
        Ok(Served::Datagrams) => None,
        Err(_) => Some(PipeState::Unknown),
    }
}
