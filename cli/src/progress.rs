//! `--progress`: how much has passed, how fast, for how long; on stderr.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::couple::{Watch, Way};
use crate::say;

const TICK: Duration = Duration::from_millis(100);
/// Where nobody draws over a line, lines are for a log.
const LOG_TICK: Duration = Duration::from_secs(1);

/// Counts both ways of a connection, or of several together, and shows the counts until it is dropped.
#[derive(Debug)]
pub struct Progress {
    counts: Arc<Counts>,
    /// Dropped to end the thread that shows.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    up: AtomicU64,
    down: AtomicU64,
}

impl Watch for Counts {
    fn data(&self, way: Way, bytes: &[u8], _message: bool) {
        let count = match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        };
        count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }

    fn end(&self, _way: Way) {}
}

impl Counts {
    fn read(&self) -> (u64, u64) {
        (
            self.up.load(Ordering::Relaxed),
            self.down.load(Ordering::Relaxed),
        )
    }
}

impl Progress {
    /// `total` is how much there is to send, where that is known.
    pub fn start(total: Option<u64>) -> Progress {
        let counts = Arc::new(Counts::default());
        let (stop, stopped) = mpsc::channel();
        let shown = counts.clone();
        let show = move || {
            if io::stderr().is_terminal() {
                draw(&shown, &stopped, total);
            } else {
                log(&shown, &stopped);
            }
        };
        // Without it the transfer goes on all the same, unseen.
        let thread = thread::Builder::new().spawn(show).ok();
        Progress {
            counts,
            stop: Some(stop),
            thread,
        }
    }

    pub fn watch(&self) -> Arc<dyn Watch> {
        self.counts.clone()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn waited(stopped: &mpsc::Receiver<()>, tick: Duration) -> bool {
    stopped.recv_timeout(tick) == Err(mpsc::RecvTimeoutError::Timeout)
}

fn draw(counts: &Counts, stopped: &mpsc::Receiver<()>, total: Option<u64>) {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = match total {
        Some(_) => {
            "{elapsed_precise} [{bar:16}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left{msg}"
        }
        None => "{elapsed_precise} sent {bytes}, {bytes_per_sec}{msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    let began = Instant::now();
    while waited(stopped, TICK) {
        let (up, down) = counts.read();
        bar.set_position(up);
        if down > 0 {
            bar.set_message(format!("; {} back", HumanBytes(down)));
        }
    }
    bar.finish_and_clear();
    say::error(summary(counts, began.elapsed()));
}

fn log(counts: &Counts, stopped: &mpsc::Receiver<()>) {
    let began = Instant::now();
    while waited(stopped, LOG_TICK) {
        say::error(summary(counts, began.elapsed()));
    }
    say::error(summary(counts, began.elapsed()));
}

fn summary(counts: &Counts, elapsed: Duration) -> String {
    let (up, down) = counts.read();
    let time = if elapsed < Duration::from_secs(10) {
        format!("{:.2} s", elapsed.as_secs_f64())
    } else {
        HumanDuration(elapsed).to_string()
    };
    format!(
        "sent {}, received {} in {time}",
        with_rate(up, elapsed),
        with_rate(down, elapsed)
    )
}

fn with_rate(bytes: u64, elapsed: Duration) -> String {
    let rate = bytes as f64 / elapsed.as_secs_f64().max(0.001);
    format!("{} ({}/s)", HumanBytes(bytes), HumanBytes(rate as u64))
}

/// How much there is to send, where stdin is a file.
pub fn stdin_size() -> Option<u64> {
    #[cfg(unix)]
    let stdin = {
        use std::os::fd::AsFd;
        io::stdin().as_fd().try_clone_to_owned()
    };
    #[cfg(windows)]
    let stdin = {
        use std::os::windows::io::AsHandle;
        io::stdin().as_handle().try_clone_to_owned()
    };
    let file = File::from(stdin.ok()?).metadata().ok()?;
    file.is_file().then_some(file.len())
}
