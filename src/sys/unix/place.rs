//! A socket's place in the file system: taken so that nobody else's is ever lost, and given back.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, SocketType};

use super::directory::{self, Last, Trust};
use super::os;
use crate::error::{Fault, Reason};

/// The socket file of a listener, known by its inode: while the socket is open, no other file gets its number.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: Identity,
    /// A child that was forked has the socket too, and the name is not its own.
    process: u32,
}

/// A file, whatever its name: its device and its inode.
type Identity = (u64, u64);

fn identity(file: &Metadata) -> Identity {
    (file.dev(), file.ino())
}

/// What is at `path` itself, a link included.
fn status(path: &Path) -> io::Result<Metadata> {
    fs::symlink_metadata(path)
}

/// What bind(2) says of a name that somebody has.
fn taken(reason: Reason, why: impl Into<String>) -> io::Error {
    Fault::new(reason, why)
        .kind(ErrorKind::AddrInUse)
        .source(Errno::ADDRINUSE)
        .into()
}

fn explained(reason: Reason, why: String, error: io::Error) -> io::Error {
    let kind = error.kind();
    Fault::new(reason, why).kind(kind).source(error).into()
}

/// What a place shall be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// None: by the umask.
    pub(super) mode: Option<u32>,
    pub(super) backlog: i32,
    /// Whether a directory is taken in which others could replace the socket.
    pub(super) shared: bool,
}

impl Place {
    /// Binds `socket` at `path`, and listens. A socket that nobody serves any more is replaced; anything else that is
    /// there stays, and is a refusal.
    pub(super) fn take(socket: &OwnedFd, path: &Path, wanted: Wanted) -> io::Result<Place> {
        let address = os::address(path)?;
        let mut shared = wanted.mode.is_none();
        if let Some(mode) = wanted.mode {
            if let Some(why) = directory::who_could_replace(path, Last::New, Trust::new(None)) {
                if !wanted.shared {
                    return Err(open_directory(&why));
                }
                shared = true;
            }
            // On Linux the file is made with the mode that the socket has, less the umask: there is no moment at
            // which it is open to more people than it should be. Elsewhere this fails, and the moment is harmless:
            // nobody can connect before `listen`.
            let _ = rustix::fs::fchmod(socket, Mode::from_raw_mode(mode as _));
        }
        bind(socket, path, &address)?;
        let file = match our_file(socket, path, shared) {
            Ok(file) => file,
            Err(error) => {
                if !shared {
                    // What we have just made there is nobody else's.
                    let _ = fs::remove_file(path);
                }
                return Err(error);
            }
        };
        let place = Place {
            path: path.to_owned(),
            file: identity(&file),
            process: std::process::id(),
        };
        let finish = || -> io::Result<()> {
            match wanted.mode {
                // The umask has taken some away.
                Some(mode) if file.mode() & 0o7777 != mode => place.set_mode(mode, shared)?,
                _ => {}
            }
            Ok(rustix::net::listen(socket, wanted.backlog)?)
        };
        if let Err(error) = finish() {
            place.give_back();
            return Err(error);
        }
        Ok(place)
    }

    /// Sets the mode of our own file and no other's.
    fn set_mode(&self, mode: u32, shared: bool) -> io::Result<()> {
        let mode = fs::Permissions::from_mode(mode);
        if !shared {
            return fs::set_permissions(&self.path, mode);
        }
        #[cfg(target_os = "linux")]
        {
            use rustix::fd::AsRawFd;
            // Something else may take its place at any moment, so it is held first and looked at then.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = fs::File::from(rustix::fs::open(&self.path, flags, Mode::empty())?);
            if identity(&file.metadata()?) != self.file {
                return Err(replaced());
            }
            // A descriptor of O_PATH can be changed by this name alone (open(2)).
            let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
            fs::set_permissions(itself, mode).map_err(|error| match error.kind() {
                ErrorKind::NotFound => Fault::new(
                    Reason::NotHere,
                    "the umask takes away a part of the socket's mode, and without /proc there is no safe way \
                     to add it in a directory that others may change: set the umask to 0 for the bind",
                )
                .source(error)
                .into(),
                _ => error,
            })
        }
        #[cfg(not(target_os = "linux"))]
        {
            if !status(&self.path).is_ok_and(|file| identity(&file) == self.file) {
                return Err(replaced());
            }
            fs::set_permissions(&self.path, mode)
        }
    }

    /// Removes the file, if it is still ours.
    pub(super) fn give_back(&self) {
        if self.process == std::process::id()
            && status(&self.path).is_ok_and(|file| identity(&file) == self.file)
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn replaced() -> io::Error {
    Fault::new(
        Reason::NotAllowed,
        "somebody else has put another file in the socket's place",
    )
    .into()
}

fn open_directory(why: &str) -> io::Error {
    Fault::new(
        Reason::OpenDirectory,
        format!(
            "{why}, this socket too: make it yours alone (chmod go-w) or sticky (chmod +t), choose another directory, \
             or take the risk with ListenOptions::allow_shared_directory"
        ),
    )
    .into()
}

/// The file that `socket` has just been bound to. Where others may have put something else there since, it is ours only if
/// all that can be known of it says so.
fn our_file(socket: &OwnedFd, path: &Path, shared: bool) -> io::Result<Metadata> {
    let file = status(path)?;
    let ours = || {
        if !shared {
            return true;
        }
        #[cfg(target_os = "linux")]
        let same = super::diag::bound_inode(socket).is_none_or(|inode| inode == file.ino() as u32);
        #[cfg(not(target_os = "linux"))]
        let (same, _) = (true, socket);
        same && file.uid() == rustix::process::geteuid().as_raw()
    };
    if file.file_type().is_socket() && ours() {
        Ok(file)
    } else {
        Err(replaced())
    }
}

/// The permission bits of the socket file.
pub(super) fn permissions(path: &Path) -> io::Result<String> {
    Ok(format!("{:04o}", status(path)?.mode() & 0o7777))
}

/// Whether something else than a socket is at `path`, as far as one can see.
pub(super) fn is_no_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| !file.file_type().is_socket())
}

/// Whether this user may not even see what is at `path`.
pub(super) fn is_out_of_reach(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// Why a path leads to no server.
pub(super) const NOTHING: &str = "no such pipe: there is no socket at this path";

/// Why a path at which there is something else leads to no server.
pub(super) const NO_SOCKET: &str =
    "no such pipe: what is at this path is no socket: remove it, or choose another name";

/// Why a path whose socket is of a kind that no pipe has leads to no server.
pub(super) const DATAGRAMS: &str =
    "no such pipe: the socket at this path is not a pipe: it is one for datagrams";

pub(super) fn is_socket(path: &Path) -> bool {
    status(path).is_ok_and(|file| file.file_type().is_socket())
}

/// Who has a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// A server that one can connect to.
    Pipe,
    /// A program that takes datagrams.
    Datagrams,
    Nobody,
}

/// Who has the socket at `address`, found out without that server noticing: a socket of another type is told EPROTOTYPE by a
/// living one, and ECONNREFUSED by one that is nobody's (unix(7); run on Linux).
pub(super) fn served(address: &SocketAddrUnix) -> io::Result<Served> {
    let probe = os::socket(SocketType::DGRAM)?;
    match rustix::net::connect(&probe, address) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(Served::Nobody),
        Err(Errno::PROTOTYPE) => Ok(Served::Pipe),
        // EPERM: it is connected, and takes the other end's datagrams alone.
        Ok(()) | Err(Errno::PERM) => Ok(Served::Datagrams),
        Err(error) => Err(error.into()),
    }
}

/// `bind(2)`, which takes a name from nobody; over a socket whose server is gone, again once that is cleared away.
fn bind(socket: &OwnedFd, path: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    let bind = || match rustix::net::bind(socket, address) {
        Err(Errno::ADDRINUSE) => Ok(false),
        Err(error) => Err(not_bound(path, error)),
        Ok(()) => Ok(true),
    };
    if bind()? {
        return Ok(());
    }
    let _lock = Lock::take(path);
    clear_dead(path, address)?;
    if bind()? {
        return Ok(());
    }
    Err(just_taken())
}

fn just_taken() -> io::Error {
    taken(Reason::NameTaken, "another server has just taken this name")
}

fn not_bound(path: &Path, error: Errno) -> io::Error {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let shown = directory.display();
    let (reason, why) = match error {
        Errno::NOENT if !directory.is_dir() => {
            (Reason::NoDirectory, "its directory does not exist".into())
        }
        Errno::NOENT | Errno::PERM | Errno::OPNOTSUPP => (
            Reason::NotHere,
            format!(
                "there can be no sockets in the file system of {shown}: choose another directory"
            ),
        ),
        Errno::ACCESS => (
            Reason::NotAllowed,
            format!("this user may not make a socket in {shown}"),
        ),
        other => return other.into(),
    };
    Fault::new(reason, why).source(error).into()
}

/// Removes the socket at `path` if its server is gone; refuses if there is anything else.
fn clear_dead(path: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    let look = || match status(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    };
    let Some(file) = look()? else {
        return Ok(());
    };
    if !file.file_type().is_socket() {
        return Err(taken(
            Reason::NotASocket,
            "there is a file at this path that is not a socket; it is left as it is: remove it, or choose another name",
        ));
    }
    let owner = file.uid();
    match served(address) {
        Ok(Served::Nobody) => {}
        Ok(Served::Pipe) => return Err(taken(Reason::NameTaken, "another server has this name")),
        Ok(Served::Datagrams) => {
            let why = "a socket for datagrams has this name, and its program is there";
            return Err(taken(Reason::NameTaken, why));
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let why = format!(
                "a socket of uid {owner} has this name, and this user may not find out whether anybody serves it: if \
                 nobody does, have its owner or root remove it (rm {})",
                path.display()
            );
            return Err(Fault::new(Reason::NameTaken, why).source(error).into());
        }
        Err(error) => {
            let why = format!(
                "a socket has this name, and whether anybody serves it cannot be found out: {error}"
            );
            return Err(explained(Reason::System, why, error));
        }
    }
    // Where there is no lock, another server may have cleared it away meanwhile and be there itself; a file that comes
    // after another may have its inode, and never its time.
    let moment = |file: &Metadata| (identity(file), file.ctime(), file.ctime_nsec());
    match look()? {
        Some(now) if moment(&now) == moment(&file) => {}
        Some(_) => return Err(just_taken()),
        None => return Ok(()),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let why = format!(
                "a dead socket of uid {owner} has this name, and this user cannot remove it: have its owner or root do so \
                 (rm {})",
                path.display()
            );
            Err(explained(Reason::StaleSocket, why, error))
        }
        _ => Ok(()),
    }
}

/// How long one waits for the lock, and how often one looks: no event tells, and a signal is no way to end a wait here.
const PATIENCE: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Keeps two servers from clearing away each other's socket: a lock of the directory that it is in, so that no file is left
/// of it, held for the moment between the look at a dead socket and the bind.
struct Lock {
    _directory: OwnedFd,
}

impl Lock {
    /// None where it is unavailable: not every file system has locks, not everybody may read the directory, and somebody may
    /// hold it for ever. The look at the inode has to do then.
    fn take(path: &Path) -> Option<Lock> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path.parent()?, flags, Mode::empty()).ok()?;
        let until = Instant::now() + PATIENCE;
        loop {
            match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    return Some(Lock {
                        _directory: directory,
                    });
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(LOOK_AGAIN);
                }
                Err(_) => return None,
            }
        }
    }
}
