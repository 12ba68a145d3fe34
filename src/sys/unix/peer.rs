//! Who is at the other end of a socket, and which users this process can tell apart.

use std::io;
use std::path::Path;

use rustix::fd::{AsRawFd, OwnedFd};

/// Who is at the other end of a socket, when it connected or began to listen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) pid: Option<u32>,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Peer {
    /// Whether it is the user `uid`. In a user namespace the overflow user is whoever has no number there, and nobody's
    /// equal.
    pub(super) fn is(&self, uid: u32) -> bool {
        self.uid == uid && (uid != OVERFLOW_UID || has_all_users())
    }
}

/// The uid by which a user shows that this user namespace has no number for (user_namespaces(7)); elsewhere it is `nobody`.
pub(super) const OVERFLOW_UID: u32 = 65534;

/// Whether this process's user namespace has a number for every user, as the first one has: then [`OVERFLOW_UID`] is one
/// user, and else it may be anybody.
pub(super) fn has_all_users() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| {
        let mut numbers = map.split_whitespace();
        [numbers.next(), numbers.next(), numbers.next()]
            == [Some("0"), Some("0"), Some("4294967295")]
    })
}

/// Whether something is mounted at `path`.
pub(super) fn is_mount_root(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::statx(CWD, path, flags, StatxFlags::TYPE)
            .is_ok_and(|file| file.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}

/// `SO_PEERCRED` (unix(7)). Not rustix's, in which a process is never 0: one of another pid namespace is.
#[cfg(target_os = "linux")]
pub(super) fn of(socket: &OwnedFd) -> io::Result<Peer> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, &mut peer)?;
    Ok(Peer {
        pid: u32::try_from(peer.pid).ok().filter(|&pid| pid != 0),
        uid: peer.uid,
        gid: peer.gid,
    })
}

/// `getpeereid(3)`, and on macOS `LOCAL_PEERPID`.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(socket: &OwnedFd) -> io::Result<Peer> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: an open socket, and two locals to be written to.
    if unsafe { libc::getpeereid(socket.as_raw_fd(), &mut uid, &mut gid) } != 0 {
        return Err(io::Error::last_os_error());
    }
    #[cfg(target_vendor = "apple")]
    let pid = {
        let mut pid: libc::pid_t = 0;
        // ENOTCONN: the peer has gone already, which is no reason to lose what it wrote.
        let told = getsockopt(socket, libc::SOL_LOCAL, libc::LOCAL_PEERPID, &mut pid);
        u32::try_from(pid)
            .ok()
            .filter(|&pid| told.is_ok() && pid != 0)
    };
    #[cfg(not(target_vendor = "apple"))]
    let pid = None;
    Ok(Peer { pid, uid, gid })
}

/// `getsockopt(2)` of an option that is a plain structure of integers.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn getsockopt<T: Copy>(socket: &OwnedFd, level: i32, option: i32, value: &mut T) -> io::Result<()> {
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: an open socket, and a local of the size that is said; the callers' types are of integers, for which all
    // that the system may write is valid.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw mut *value).cast(),
            &mut length,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// A client that wrote and left is a client: what is not known of it any more is no error.
    #[test]
    fn a_peer_that_has_gone_still_has_a_user() {
        let path = std::env::temp_dir().join(format!("npipe-peer-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let server = OwnedFd::from(listener.accept().unwrap().0);
        let ours = |peer: Peer| {
            assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
            assert_eq!(peer.gid, rustix::process::getegid().as_raw());
            peer.pid
        };
        let told = cfg!(any(target_os = "linux", target_vendor = "apple"));
        assert_eq!(
            ours(of(&server).unwrap()),
            told.then(std::process::id),
            "the client is there"
        );
        client.write_all(b"x").unwrap();
        drop(client);
        let pid = ours(of(&server).unwrap());
        assert!(pid.is_none() || pid == Some(std::process::id()));
    }
}
