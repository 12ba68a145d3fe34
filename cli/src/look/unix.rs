//! Sockets as files, and on Linux the kernel's list of them.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use npipe::{PipeMode, PipeName};

use super::facts::{Look, Place, Process, Server, User};
use crate::accounts;

pub fn look_closer(name: &PipeName, look: &mut Look) {
    let path = name.os_path();
    let Ok(file) = fs::metadata(path) else {
        return;
    };
    look.owner = Some(user(file.uid()));
    look.permissions = Some(file.mode() & 0o777);
    if !file.file_type().is_socket() {
        look.place = Place::NotASocket;
        return;
    }
    if let Some(socket) = sockets().into_iter().find(|socket| socket.path == path) {
        look.place = Place::Live;
        look.mode = socket.mode;
        look.server = holders(&[socket.inode]).pop().map(|(_, process)| process);
    }
}

/// A socket that listens, as Linux lists it; elsewhere there are none to be seen.
struct Socket {
    path: PathBuf,
    mode: Option<PipeMode>,
    inode: u64,
}

fn sockets() -> Vec<Socket> {
    let list = fs::read("/proc/net/unix").unwrap_or_default();
    list.split(|&byte| byte == b'\n')
        .filter_map(listening)
        .collect()
}

/// A line of `/proc/net/unix`: Num RefCount Protocol Flags Type St Inode Path, in hex but for the inode. The path may be
/// any bytes.
fn listening(line: &[u8]) -> Option<Socket> {
    const ACCEPTS: u32 = 0x10000;
    let mut rest = line;
    let mut next = || {
        rest = rest.trim_ascii_start();
        let (word, after) = rest.split_at(rest.iter().position(|&byte| byte == b' ')?);
        rest = &after[1..];
        std::str::from_utf8(word).ok()
    };
    let (_number, _references, _protocol) = (next()?, next()?, next()?);
    let flags = u32::from_str_radix(next()?, 16).ok()?;
    let kind = u32::from_str_radix(next()?, 16).ok()?;
    let _state = next()?;
    let inode = next()?.parse().ok()?;
    (flags & ACCEPTS != 0).then(|| Socket {
        path: OsStr::from_bytes(rest).into(),
        mode: match kind {
            1 => Some(PipeMode::Byte),
            5 => Some(PipeMode::Message),
            _ => None,
        },
        inode,
    })
}

/// The first process that has each of these sockets open, among those that this user may look at.
fn holders(inodes: &[u64]) -> Vec<(u64, Process)> {
    let mut wanted: HashMap<PathBuf, u64> = inodes
        .iter()
        .map(|&inode| (PathBuf::from(format!("socket:[{inode}]")), inode))
        .collect();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if wanted.is_empty() {
            break;
        }
        let name = process.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            let Ok(link) = fs::read_link(descriptor.path()) else {
                continue;
            };
            if let Some(inode) = wanted.remove(&link) {
                let program = program(id);
                found.push((inode, Process { id, program }));
            }
        }
    }
    found
}

pub fn servers(paths: &[&Path]) -> HashMap<PathBuf, Server> {
    let mut sockets = sockets();
    sockets.retain(|socket| paths.contains(&socket.path.as_path()));
    let inodes: Vec<_> = sockets.iter().map(|socket| socket.inode).collect();
    let holders: HashMap<_, _> = holders(&inodes).into_iter().collect();
    sockets
        .into_iter()
        .filter_map(|socket| {
            let process = holders.get(&socket.inode)?.clone();
            let user = owner(Path::new(&format!("/proc/{}", process.id)));
            Some((socket.path, Server { process, user }))
        })
        .collect()
}

pub fn owner(path: &Path) -> Option<User> {
    let file = fs::symlink_metadata(path).ok()?;
    Some(user(file.uid()))
}

pub fn program(id: u32) -> Option<String> {
    if let Ok(path) = fs::read_link(format!("/proc/{id}/exe")) {
        return Some(path.display().to_string());
    }
    if let Ok(name) = fs::read_to_string(format!("/proc/{id}/comm")) {
        return Some(name.trim_end().to_owned());
    }
    let output = std::process::Command::new("ps")
        .args(["-o", "comm=", "-p", &id.to_string()])
        .output()
        .ok()?;
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Some(name).filter(|name| !name.is_empty())
}

pub fn user(id: u32) -> User {
    User {
        id,
        name: accounts::name_of(id),
    }
}

/// Who we are.
pub fn me() -> User {
    user(rustix::process::geteuid().as_raw())
}

/// Other places at which there is a pipe of this name: what a server has that runs with another TMPDIR.
pub fn elsewhere(name: &PipeName) -> BTreeSet<PathBuf> {
    let path = name.os_path();
    let Some(file) = path.file_name() else {
        return BTreeSet::new();
    };
    let named = |other: &Path| other != path && other.file_name() == Some(file);
    let listening = sockets()
        .into_iter()
        .map(|socket| socket.path)
        .filter(|other| named(other));
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let usual = ["/tmp", "/var/tmp", "/private/tmp"].map(PathBuf::from);
    let usual = usual
        .into_iter()
        .chain(home.map(|home| home.join("tmp")))
        .chain(runtime())
        .map(|directory| directory.join(file))
        .filter(|other| named(other))
        .filter(|other| fs::symlink_metadata(other).is_ok_and(|it| it.file_type().is_socket()));
    listening.chain(usual).collect()
}

/// Where a session's own temporary files may be.
fn runtime() -> impl Iterator<Item = PathBuf> {
    let variables = ["XDG_RUNTIME_DIR", "TMP", "TEMP"]
        .into_iter()
        .filter_map(std::env::var_os)
        .map(PathBuf::from);
    // macOS has one for each user, which a server that was started without an environment does not use.
    let output = std::process::Command::new("getconf")
        .arg("DARWIN_USER_TEMP_DIR")
        .output();
    let darwin = output
        .ok()
        .filter(|_| cfg!(target_os = "macos"))
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim().to_owned()));
    variables.chain(darwin)
}

/// What keeps this user from the file at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Barrier {
    NoDirectory(PathBuf),
    NoDirectoryAccess(PathBuf),
}

/// The first directory on the way that is not there, or that this user may not pass.
pub fn barrier(path: &Path) -> Option<Barrier> {
    let directories: Vec<_> = path
        .ancestors()
        .skip(1)
        .filter(|it| !it.as_os_str().is_empty())
        .collect();
    for directory in directories.into_iter().rev() {
        match fs::metadata(directory.join(".")) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                return Some(Barrier::NoDirectoryAccess(directory.to_owned()));
            }
            Err(_) => return Some(Barrier::NoDirectory(directory.to_owned())),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernels_list() {
        let line = b"00000000e5871d76: 00000002 00000000 00010000 0005 01   486 /tmp/Core Fx\xff";
        let socket = listening(line).unwrap();
        assert_eq!((socket.inode, socket.mode), (486, Some(PipeMode::Message)));
        assert_eq!(socket.path.as_os_str().as_bytes(), b"/tmp/Core Fx\xff");
        for other in [
            "Num       RefCount Protocol Flags    Type St Inode Path",
            "00000000eaf7a1bc: 00000003 00000000 00000000 0001 03 42644",
            "00000000eaf7a1bc: 00000003 00000000 00000000 0001 03 42644 /tmp/connected",
        ] {
            assert!(listening(other.as_bytes()).is_none(), "{other}");
        }
    }
}
