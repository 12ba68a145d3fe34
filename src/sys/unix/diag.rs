//! Which file a socket was bound to, by the kernel's own word rather than by a path: `sock_diag(7)`.

use std::io;

use rustix::fd::OwnedFd;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST` of `linux/netlink.h`.
const REQUEST: u16 = 1;
/// `AF_UNIX`.
const UNIX: u8 = 1;
/// `UDIAG_SHOW_VFS` and `UNIX_DIAG_VFS` of `linux/unix_diag.h`.
const SHOW_FILE: u32 = 2;
const FILE: u16 = 1;
/// The answer's two headers, `nlmsghdr` and `unix_diag_msg`.
const HEADERS: usize = 32;

/// The inode of the file that `socket` is bound to, its lower 32 bits; None where the kernel does not tell.
pub(super) fn bound_inode(socket: &OwnedFd) -> Option<u32> {
    ask(rustix::fs::fstat(socket).ok()?.st_ino as u32).ok()?
}

fn ask(socket: u32) -> io::Result<Option<u32>> {
    let kernel = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(netlink::SOCK_DIAG),
    )?;
    let mut request = Vec::with_capacity(40);
    request.extend(40u32.to_ne_bytes());
    request.extend(BY_FAMILY.to_ne_bytes());
    request.extend(REQUEST.to_ne_bytes());
    request.extend([0; 8]); // sequence and sender
    request.extend([UNIX, 0, 0, 0]);
    request.extend(u32::MAX.to_ne_bytes()); // in whatever state it is
    request.extend(socket.to_ne_bytes());
    request.extend(SHOW_FILE.to_ne_bytes());
    request.extend([0xff; 8]); // no cookie
    let to = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&kernel, &request, SendFlags::empty(), &to)?;
    // The kernel has answered by the time that it has taken the request.
    let mut answer = [0; 512];
    let (_, length) = rustix::net::recv(&kernel, &mut answer, RecvFlags::empty())?;
    Ok(file_of(answer.get(..length).unwrap_or(&[])))
}

/// What an answer says of the socket's file.
fn file_of(answer: &[u8]) -> Option<u32> {
    if u16_at(answer, 4)? != BY_FAMILY {
        return None;
    }
    let mut at = HEADERS;
    loop {
        let (length, kind) = (usize::from(u16_at(answer, at)?), u16_at(answer, at + 2)?);
        if kind == FILE {
            return u32_at(answer, at + 4);
        }
        at += length.max(4).next_multiple_of(4);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_kernel_tells_the_file_of_a_bound_socket() {
        let path = std::env::temp_dir().join(format!("npipe-diag-{}", std::process::id()));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let file = std::fs::symlink_metadata(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        if let Some(inode) = bound_inode(&listener.into()) {
            assert_eq!(inode, file.ino() as u32);
        }
    }

    #[test]
    fn an_answer_cut_short_is_none() {
        let mut answer = vec![0; HEADERS];
        answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        answer.extend(8u16.to_ne_bytes());
        answer.extend(7u16.to_ne_bytes());
        answer.extend([0; 4]);
        answer.extend(12u16.to_ne_bytes());
        answer.extend(FILE.to_ne_bytes());
        answer.extend(4711u32.to_ne_bytes());
        assert_eq!(file_of(&answer), Some(4711));
        for length in 0..answer.len() {
            assert_eq!(file_of(&answer[..length]), None);
        }
    }
}
