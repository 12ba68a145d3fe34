//! The subjects that are written in Rust.

#[cfg(windows)]
mod bare;
mod interprocess;
mod ours;
mod ours_async;
#[cfg(target_os = "linux")]
mod packets;
#[cfg(unix)]
mod std;
mod tokio;

use ::std::io;

use anyhow::{Context, Result, bail};

use crate::protocol::Half;
use crate::work::{self, Pipes};
use crate::work_async::{self, AsyncPipes, Tasks};

/// Runs one half of a subject: its name, and `+` before every word on how it is used.
pub fn run(subject: &str, half: Half, address: &str) -> Result<()> {
    let mut words = subject.split('+');
    let name = words.next().unwrap_or_default();
    let mut ours = ours::Ours::default();
    let mut tasks = Tasks::default();
    let (mut inlined, mut spins) = (false, false);
    for word in words {
        match word {
            "several" => tasks.several = true,
            "main" => tasks.main = true,
            "timers" => tasks.timers_alone = true,
            "inlined" => inlined = true,
            "spins" => spins = true,
            "shared" => ours.shared = true,
            "deadline" => ours.deadline = true,
            "busy" => ours.busy = true,
            "small" => ours.small = true,
            "messages" => ours.messages = true,
            "bytes" => (ours.messages, ours.bytes) = (true, true),
            "parts" => (ours.messages, ours.parts) = (true, true),
            _ => bail!("{subject}: nothing is used {word}"),
        }
    }
    // Of subjects that not every system has.
    let _ = (inlined, spins);
    match name {
        "npipe" => blocking(&ours, half, address),
        "npipe-tokio" => awaited(ours_async::Async, tasks, half, address),
        "interprocess" => blocking(&interprocess::Blocking, half, address),
        "interprocess-tokio" => awaited(interprocess::Async, tasks, half, address),
        "tokio" => awaited(tokio::Tokio, tasks, half, address),
        #[cfg(unix)]
        "std" => blocking(&std::Std { spins }, half, address),
        #[cfg(target_os = "linux")]
        "packets" => blocking(&packets::Packets { inlined }, half, address),
        #[cfg(windows)]
        "bare" => blocking(&bare::Blocking, half, address),
        #[cfg(windows)]
        "bare-overlapped" => blocking(&bare::Overlapped, half, address),
        _ => bail!("there is no {name} on this system"),
    }
    .with_context(|| format!("{subject} at {address}"))
}

fn blocking(pipes: &impl Pipes, half: Half, address: &str) -> io::Result<()> {
    match half {
        Half::Serve => work::serve(pipes, address),
        Half::Work => work::work(pipes, address),
    }
}

fn awaited(pipes: impl AsyncPipes, tasks: Tasks, half: Half, address: &str) -> io::Result<()> {
    let runtime = tasks.runtime()?;
    match half {
        Half::Serve => work_async::serve(&runtime, pipes, address),
        Half::Work => work_async::work(&runtime, tasks, pipes, address),
    }
}
