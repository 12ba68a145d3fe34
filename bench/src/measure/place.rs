//! Where the two processes of a subject run.

use anyhow::{Result, bail};

use crate::protocol::Half;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// Both on one core: what the calls cost, and a switch between the two.
    One,
    /// Each on a core of its own: what waking another core costs.
    Two,
    /// Wherever the system puts them.
    Free,
}

impl Placing {
    pub fn parse(word: &str) -> Result<Placing> {
        Ok(match word {
            "one" => Placing::One,
            "two" => Placing::Two,
            "free" => Placing::Free,
            _ => bail!("a place is one, two or free, not {word}"),
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Placing::One => "one",
            Placing::Two => "two",
            Placing::Free => "free",
        }
    }

    pub fn says(self) -> &'static str {
        match self {
            Placing::One => "both on one core",
            Placing::Two => "on two cores",
            Placing::Free => "unpinned",
        }
    }

    fn core(self, half: Half) -> Option<usize> {
        match (self, half) {
            (Placing::One, _) | (Placing::Two, Half::Work) => Some(0),
            (Placing::Two, Half::Serve) => Some(1),
            (Placing::Free, _) => None,
        }
    }

    /// Does `start`, which starts the half's process, where that is to run: a process inherits its parent's place.
    pub fn within<T>(self, half: Half, start: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(core) = self.core(half) else {
            return start();
        };
        let before = affinity::to(core)?;
        let started = start();
        affinity::back(before)?;
        started
    }
}

#[cfg(target_os = "linux")]
mod affinity {
    use anyhow::{Context, Result};
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    pub fn to(core: usize) -> Result<CpuSet> {
        let before = sched_getaffinity(None)?;
        let mut only = CpuSet::new();
        only.set(core);
        sched_setaffinity(None, &only)
            .with_context(|| format!("core {core} is not for this process"))?;
        Ok(before)
    }

    pub fn back(before: CpuSet) -> Result<()> {
        Ok(sched_setaffinity(None, &before)?)
    }
}

#[cfg(windows)]
mod affinity {
    use anyhow::{Context, Result, ensure};
    use windows_sys::Win32::System::Threading::{
        GetCurrentProcess, GetProcessAffinityMask, SetProcessAffinityMask,
    };

    pub fn to(core: usize) -> Result<usize> {
        let (mut before, mut system) = (0, 0);
        // SAFETY: this process's own pseudo handle, and two locals.
        let got = unsafe { GetProcessAffinityMask(GetCurrentProcess(), &mut before, &mut system) };
        ensure!(got != 0, std::io::Error::last_os_error());
        set(1 << core).with_context(|| format!("core {core} is not for this process"))?;
        Ok(before)
    }

    pub fn back(before: usize) -> Result<()> {
        set(before)
    }

    fn set(mask: usize) -> Result<()> {
        // SAFETY: this process's own pseudo handle.
        let set = unsafe { SetProcessAffinityMask(GetCurrentProcess(), mask) };
        ensure!(set != 0, std::io::Error::last_os_error());
        Ok(())
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
mod affinity {
    use anyhow::{Result, bail};

    pub fn to(_core: usize) -> Result<()> {
        bail!("this system pins no process: --place free");
    }

    pub fn back(_before: ()) -> Result<()> {
        Ok(())
    }
}
