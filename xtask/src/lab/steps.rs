//! How the lab is set up: steps, each done once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::place::Place;
use crate::process;

/// No single step takes longer on a slow line.
const STEP_LIMIT: Duration = Duration::from_secs(20 * 60);

/// The lab, held so that no other chore changes it at the same time.
#[derive(Debug)]
pub struct Lab<'a> {
    pub place: &'a Place,
    _lock: File,
}

impl<'a> Lab<'a> {
    pub fn open(place: &'a Place) -> Result<Lab<'a>> {
        fs::create_dir_all(place.lab.join("stamps"))
            .with_context(|| format!("cannot create {}", place.lab.display()))?;
        let lock = File::create(place.lab.join("lock"))?;
        #[cfg(unix)]
        {
            use crate::ui;
            use rustix::fs::{FlockOperation, flock};
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                ui::say("another chore is setting up this checkout: waiting for it");
                flock(&lock, FlockOperation::LockExclusive)?;
            }
        }
        Ok(Lab { place, _lock: lock })
    }

    /// Does `work` unless it was done by the same recipe before. `work` is given a directory that is empty; once it has
    /// succeeded, that becomes `target/lab/NAME`, which is returned.
    pub fn step(
        &self,
        name: &str,
        recipe: &str,
        work: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let made = self.place.lab.join(name);
        let stamp = self.place.lab.join("stamps").join(name);
        if made.exists() && fs::read_to_string(&stamp).is_ok_and(|done| done == recipe) {
            return Ok(made);
        }
        let partial = self.place.lab.join(format!("{name}.partial"));
        for path in [&stamp, &partial, &made] {
            remove(path)?;
        }
        fs::create_dir(&partial)?;
        work(&partial)?;
        fs::rename(&partial, &made)?;
        // Written beside and renamed: a stamp that exists is complete.
        let fresh = stamp.with_extension("new");
        fs::write(&fresh, recipe)?;
        fs::rename(&fresh, &stamp)?;
        Ok(made)
    }

    /// Runs a program of the step `name`, its output in `target/lab/log`.
    pub fn logged(&self, command: &mut Command, what: &str, name: &str) -> Result<()> {
        let log = self.place.lab.join("log").join(format!("{name}.log"));
        process::run_logged(command, what, &log, STEP_LIMIT)
    }

    /// The same for a program that fetches something, where a failure is mostly the network's.
    pub fn fetched(&self, command: &mut Command, what: &str, name: &str) -> Result<()> {
        self.logged(command, what, name)
            .map_err(|error| anyhow::anyhow!("{error:#} (is there a network?)"))
    }
}

/// Removes a file or a directory, if it is there.
pub fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else if path.exists() {
        fs::remove_file(path)
    } else {
        return Ok(());
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}
