//! What goes right a thousand times and wrong once in a million: `soak [N]`, `cargo xtask soak` runs it.
//!
//! N clients that write and leave (a million unless said), N streams that are written to and dropped, N/10 closes against
//! accepts, N/100 binds of a name that was just given up; a quarter as many of the first three once more with the async
//! half. Three quarters of them are on byte pipes, one on message pipes. Each part prints how many there were, how many went wrong, and how long it took. The exit code is 1 if anything
//! went wrong, and a hang is ended as one.

mod blocking;
mod tally;
mod tasks;

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tally::{DONE, PATIENCE, Result, WRONG, tell};

fn main() -> ExitCode {
    let count = match std::env::args().nth(1).map(|count| count.parse()) {
        None => 1_000_000,
        Some(Ok(count)) => count,
        Some(Err(error)) => {
            eprintln!("soak [N]: {error}");
            return ExitCode::from(2);
        }
    };
    thread::spawn(end_if_it_hangs);
    let before = descriptors();
    let mut wrong = 0;
    for (what, count, part) in [
        (
            "clients that write and leave",
            count,
            blocking::leave as Part,
        ),
        ("streams written to and dropped", count, blocking::dropped),
        ("closes against accepts", count / 10, blocking::closes),
        (
            "binds of a name just given up",
            count / 100,
            blocking::rebinds,
        ),
        (
            "clients that write and leave, of tokio",
            count / 4,
            tasks::leave,
        ),
        (
            "streams written to and dropped, of tokio",
            count / 4,
            tasks::dropped,
        ),
        (
            "closes against accepts, of tokio",
            count / 40,
            tasks::closes,
        ),
    ] {
        let began = Instant::now();
        if let Err(error) = part(count) {
            tell(&format!("{what}: {error}"));
        }
        let here = WRONG.swap(0, Ordering::Relaxed);
        let seconds = began.elapsed().as_secs_f64();
        println!("{count} {what}: {here} wrong, {seconds:.1} s");
        wrong += here;
    }
    // Two of them may be the standard library's own, made on the way.
    if let (Some(before), Some(after)) = (before, descriptors()) {
        println!("descriptors: {before} before, {after} after");
        wrong += u64::from(after > before + 2);
    }
    println!("{wrong} wrong in all");
    ExitCode::from(u8::from(wrong > 0))
}

type Part = fn(u64) -> Result<()>;

/// What this process has open, where the system tells.
fn descriptors() -> Option<usize> {
    // Wine shows that directory too, and counts otherwise.
    let open = std::fs::read_dir("/proc/self/fd").ok()?;
    cfg!(target_os = "linux").then(|| open.count())
}

fn end_if_it_hangs() {
    let mut before = u64::MAX;
    let mut since = Instant::now();
    loop {
        thread::sleep(Duration::from_secs(1));
        let done = DONE.load(Ordering::Relaxed);
        if done != before {
            before = done;
            since = Instant::now();
        } else if since.elapsed() > 2 * PATIENCE {
            println!("hangs: nothing for {:?}, after {done}", since.elapsed());
            std::process::exit(1);
        }
    }
}
