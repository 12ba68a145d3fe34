//! A socket's place in the file system: taken so that nobody else's is ever lost, and given back.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, SocketType};

use super::os;

/// The socket file of a listener, known by its inode.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: Identity,
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

/// Why a place could not be had.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: ErrorKind,
    pub(super) why: String,
    pub(super) source: Option<io::Error>,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        Refusal {
            kind: error.kind(),
            why: error.to_string(),
            source: Some(error),
        }
    }
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Refusal {
        io::Error::from(error).into()
    }
}

impl Refusal {
    fn new(kind: ErrorKind, why: impl Into<String>) -> Refusal {
        Refusal {
            kind,
            why: why.into(),
            // What bind(2) says of it.
            source: (kind == ErrorKind::AddrInUse).then(|| Errno::ADDRINUSE.into()),
        }
    }
}

impl Place {
    /// Binds `socket` at `path`, with `mode` (None: the umask's), and listens. A socket that nobody serves any more
    /// is replaced; anything else that is there stays, and is a refusal.
    pub(super) fn take(
        socket: &OwnedFd,
        path: &Path,
        mode: Option<u32>,
        backlog: i32,
    ) -> Result<Place, Refusal> {
        let address = os::address(path)?;
        if mode.is_some() {
            refuse_open_directory(path)?;
        }
        let _lock = Lock::take(path)?;
        if let Some(mode) = mode {
            // On Linux the file is made with the mode that the socket has, less the umask: there is no moment at
            // which it is open to more people than it should be. Elsewhere this fails, and the moment is harmless:
            // nobody can connect before `listen`.
            let _ = rustix::fs::fchmod(socket, Mode::from_raw_mode(mode as _));
        }
        match rustix::net::bind(socket, &address) {
            Err(Errno::ADDRINUSE) => {
                clear_dead(path, &address)?;
                rustix::net::bind(socket, &address).map_err(|error| match error {
                    Errno::ADDRINUSE => Refusal::new(
                        ErrorKind::AddrInUse,
                        "another server has just taken this name",
                    ),
                    other => Refusal::from(other),
                })?;
            }
            other => other?,
        }
        let place = Place {
            path: path.to_owned(),
            file: identity(&status(path)?),
        };
        let finish = || -> io::Result<()> {
            match mode {
                // The umask has taken some away.
                Some(mode) if status(path)?.mode() & 0o777 != mode => place.set_mode(mode)?,
                _ => {}
            }
            Ok(rustix::net::listen(socket, backlog)?)
        };
        if let Err(error) = finish() {
            place.remove();
            return Err(error.into());
        }
        Ok(place)
    }

    /// Sets the mode of our own file and no other's: in a directory where others may write, something else may have
    /// taken its place since, a link for instance.
    #[cfg(target_os = "linux")]
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        use rustix::fd::AsRawFd;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&self.path, flags, Mode::empty())?);
        if identity(&file.metadata()?) != self.file {
            return Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "somebody else has put another file in the socket's place",
            ));
        }
        // A descriptor of O_PATH can be changed by this name alone (open(2)).
        let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
        fs::set_permissions(itself, fs::Permissions::from_mode(mode))
    }

    #[cfg(not(target_os = "linux"))]
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        fs::set_permissions(&self.path, fs::Permissions::from_mode(mode))
    }

    /// Removes the file, if it is still ours.
    pub(super) fn give_back(&self) {
        // Where the lock cannot be had, the look at the inode alone has to do.
        let _lock = Lock::take(&self.path);
        self.remove();
    }

    fn remove(&self) {
        if status(&self.path).is_ok_and(|file| identity(&file) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
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

/// Why a path leads to no server.
pub(super) const NOTHING: &str = "no such pipe: there is no socket at this path";

/// Why a path at which there is something else leads to no server.
pub(super) const NO_SOCKET: &str =
    "no such pipe: what is at this path is no socket: remove it, or choose another name";

pub(super) fn is_socket(path: &Path) -> bool {
    status(path).is_ok_and(|file| file.file_type().is_socket())
}

/// Refuses a directory in which anybody may replace anybody's files: whoever did would get the clients. (/tmp is sticky.)
fn refuse_open_directory(path: &Path) -> Result<(), Refusal> {
    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    let Some(directory) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    else {
        return Ok(());
    };
    // One that is not there is told of by who tries to use it.
    if fs::metadata(directory).is_ok_and(|it| it.mode() & (OTHERS_WRITE | STICKY) == OTHERS_WRITE) {
        return Err(Refusal::new(
            ErrorKind::PermissionDenied,
            format!(
                "anybody may replace the files in {}, this socket too: make the directory sticky (chmod +t), \
                 choose another, or take the risk with Security::OsDefault",
                directory.display()
            ),
        ));
    }
    Ok(())
}

/// Whether somebody has the socket at `address`, found out without that server noticing: a socket of another type is
/// told EPROTOTYPE by a living one, and ECONNREFUSED by one that is nobody's (unix(7); run on Linux).
pub(super) fn is_served(address: &SocketAddrUnix) -> io::Result<bool> {
    let probe = os::socket(SocketType::DGRAM)?;
    match rustix::net::connect(&probe, address) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Err(Errno::PROTOTYPE) | Ok(()) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Removes the socket at `path` if its server is gone; refuses if there is anything else.
fn clear_dead(path: &Path, address: &SocketAddrUnix) -> Result<(), Refusal> {
    let file = match status(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !file.file_type().is_socket() {
        return Err(Refusal::new(
            ErrorKind::AddrInUse,
            "there is a file at this path that is not a socket; it is left as it is: remove it, or choose another name",
        ));
    }
    match is_served(address) {
        Ok(false) => {}
        Ok(true) => {
            return Err(Refusal::new(
                ErrorKind::AddrInUse,
                "another server has this name",
            ));
        }
        Err(error) => {
            return Err(Refusal {
                kind: ErrorKind::AddrInUse,
                why: format!(
                    "somebody else's socket has this name, and cannot be looked at: {error}"
                ),
                source: Some(error),
            });
        }
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Refusal {
            kind: ErrorKind::PermissionDenied,
            why: format!("a dead socket has this name, and cannot be removed: {error}"),
            source: Some(error),
        }),
        _ => Ok(()),
    }
}

/// How long one waits for a lock, and how often one looks: no event tells, and a signal is no way to end a wait here.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Keeps two servers from clearing away each other's socket: whoever looks at a path and then changes it holds the
/// lock beside it. It is there for the moment of a bind or a close only, and a killed process leaves nothing locked.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(path: &Path) -> Result<Lock, Refusal> {
        // Hidden, and not what anybody would call a pipe.
        let mut lock = OsString::from(".");
        lock.push(path.file_name().unwrap_or_default());
        lock.push(".npipe-lock");
        let path = path.with_file_name(lock);
        let until = Instant::now().checked_add(PATIENCE);
        loop {
            let file = rustix::fs::open(
                &path,
                OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::RUSR | Mode::WUSR,
            )
            .map_err(|error| Refusal {
                kind: io::Error::from(error).kind(),
                why: match error {
                    Errno::NOENT => "its directory does not exist".to_owned(),
                    _ => format!("the lock file {} cannot be made: {error}", path.display()),
                },
                source: Some(error.into()),
            })?;
            let file = File::from(file);
            let ours = file.metadata()?;
            if ours.uid() != rustix::process::geteuid().as_raw() {
                // Its owner could keep it locked forever.
                let why = format!(
                    "the lock file {} is another user's (uid {})",
                    path.display(),
                    ours.uid()
                );
                return Err(Refusal::new(ErrorKind::PermissionDenied, why));
            }
            // Held for the moment of a bind or a close; but whoever holds it may be stopped there.
            while let Err(error) =
                rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            {
                match error {
                    Errno::INTR => {}
                    Errno::WOULDBLOCK if until.is_none_or(|until| Instant::now() < until) => {
                        std::thread::sleep(LOOK_AGAIN);
                    }
                    Errno::WOULDBLOCK => {
                        let why = format!(
                            "another server holds {} and does not let go of it",
                            path.display()
                        );
                        return Err(Refusal::new(ErrorKind::AddrInUse, why));
                    }
                    error => return Err(error.into()),
                }
            }
            // The one before us may have removed the file that we waited for: then it locks nobody out.
            if status(&path).is_ok_and(|there| identity(&there) == identity(&ours)) {
                return Ok(Lock { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Before the lock goes, or we would remove somebody else's.
        let _ = fs::remove_file(&self.path);
    }
}
