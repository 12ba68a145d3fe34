//! Who could replace a file: whoever may write to its directory, or to one above it.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::peer;

/// What others may do in a directory.
const OTHERS_WRITE: u32 = 0o022;
/// In a sticky directory only a file's owner, the directory's owner and root rename or remove it.
const STICKY: u32 = 0o1000;
/// More links than this is a circle (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Whose directories are as good as our own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trust {
    ours: u32,
    /// The one that a client expects to find.
    server: Option<u32>,
    /// Whether the root directory belongs to a user that this user namespace has no number for.
    root_is_unmapped: bool,
}

impl Trust {
    pub(super) fn new(server: Option<u32>) -> Trust {
        Trust {
            ours: rustix::process::geteuid().as_raw(),
            server,
            root_is_unmapped: false,
        }
    }

    fn is_given(&self, path: &Path, file: &Metadata, above: Option<u64>) -> bool {
        let owner = file.uid();
        if owner == 0 || owner == self.ours || Some(owner) == self.server {
            return true;
        }
        // In a rootless container what belongs to the real root shows as the overflow user's. Other strangers' files show
        // so too; they neither own its root nor mount anything in it.
        owner == peer::OVERFLOW_UID
            && !peer::has_all_users()
            && (self.root_is_unmapped
                || above.is_some_and(|device| device != file.dev())
                || peer::is_mount_root(path))
    }
}

/// Which file a search still has to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// One that is going to be made.
    New,
    /// One that is there; if it is a link, what it leads to counts.
    There,
}

/// Why somebody else could replace the file at `path`; None if nobody can. What cannot be looked at is told by who uses it.
pub(super) fn who_could_replace(path: &Path, last: Last, mut trust: Trust) -> Option<String> {
    let mut here = PathBuf::from("/");
    let root = fs::symlink_metadata(&here).ok()?;
    trust.root_is_unmapped = root.uid() == peer::OVERFLOW_UID;
    let mut device = root.dev();
    if let Some(why) = refuse(&here, &root, None, trust) {
        return Some(why);
    }
    let mut ahead = Vec::new();
    let whole = match last {
        Last::New => path.parent()?,
        Last::There => path,
    };
    push(&mut ahead, whole);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(name);
        let file = fs::symlink_metadata(&next).ok()?;
        if file.is_symlink() {
            if !trust.is_given(&next, &file, None) {
                return Some(format!("uid {} may change {}", file.uid(), next.display()));
            }
            links += 1;
            if links > MOST_LINKS {
                return None;
            }
            let target = fs::read_link(&next).ok()?;
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            push(&mut ahead, &target);
            continue;
        }
        if ahead.is_empty() && last == Last::There {
            return None;
        }
        if let Some(why) = refuse(&next, &file, Some(device), trust) {
            return Some(why);
        }
        device = file.dev();
        here = next;
    }
    None
}

/// Puts the components of `path` before those that are still ahead, the first of them on top.
fn push(ahead: &mut Vec<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => ahead.push(name.to_owned()),
            Component::ParentDir => ahead.push("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

fn refuse(path: &Path, directory: &Metadata, above: Option<u64>, trust: Trust) -> Option<String> {
    let (mode, shown) = (directory.mode(), path.display());
    if !trust.is_given(path, directory, above) {
        return Some(format!("{shown} belongs to uid {}", directory.uid()));
    }
    if mode & OTHERS_WRITE == 0 || mode & STICKY != 0 {
        return None;
    }
    Some(if mode & 0o002 != 0 {
        format!("anybody may replace what is in {shown}")
    } else {
        format!("group {} may replace what is in {shown}", directory.gid())
    })
}
