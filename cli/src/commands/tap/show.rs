//! The one thread that shows, in the order in which things happened.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Instant, SystemTime};

use super::event::{Event, What};
use crate::commands::relay::Watches;
use crate::couple::{Watch, Way};
use crate::failure::Failure;

/// So many events wait to be shown. A slow terminal holds up what passes, rather than that memory grows.
const QUEUE: usize = 16;

/// What makes bytes of an event.
pub type Form = Box<dyn FnMut(&Event) -> Vec<u8> + Send>;

/// Somewhere that events are shown, each in its form.
pub struct Shown {
    pub output: Box<dyn Write + Send>,
    pub form: Form,
    /// What it is when `output` takes no more.
    pub failure: Box<dyn Fn(io::Error) -> Failure + Send>,
}

impl Shown {
    fn show(&mut self, event: &Event) -> Result<(), Failure> {
        let bytes = (self.form)(event);
        if bytes.is_empty() {
            return Ok(());
        }
        self.output
            .write_all(&bytes)
            .and_then(|()| self.output.flush())
            .map_err(&self.failure)
    }
}

#[derive(Clone)]
pub struct Show {
    began: Instant,
    events: SyncSender<Event>,
    /// How many connections there are, and are to be seen to their ends.
    open: Arc<AtomicUsize>,
}

/// Makes a tap for each connection.
#[derive(Debug)]
pub struct Taps(pub Show);

impl Watches for Taps {
    fn open(&self, connection: u64) -> Arc<dyn Watch> {
        self.0.open.fetch_add(1, Ordering::SeqCst);
        let tap = Wire {
            show: Mutex::new(self.0.clone()),
            connection,
        };
        tap.send(What::Open);
        Arc::new(tap)
    }
}

struct Wire {
    show: Mutex<Show>,
    connection: u64,
}

impl Wire {
    fn send(&self, what: What) {
        // Held while it is sent: the times of both ways come in the order of the queue.
        let show = self.show.lock().unwrap_or_else(PoisonError::into_inner);
        show.send(self.connection, what);
    }
}

impl Watch for Wire {
    fn data(&self, way: Way, bytes: &[u8], message: bool) {
        let bytes = bytes.to_vec();
        self.send(if message {
            What::Message(way, bytes)
        } else {
            What::Data(way, bytes)
        });
    }

    fn end(&self, way: Way) {
        self.send(What::End(way));
    }

    fn close(&self) {
        let show = self.show.lock().unwrap_or_else(PoisonError::into_inner);
        show.open.fetch_sub(1, Ordering::SeqCst);
        show.send(self.connection, What::Close);
    }
}

impl Show {
    pub fn start(mut shown: Vec<Shown>) -> io::Result<Show> {
        let (events, queue) = mpsc::sync_channel::<Event>(QUEUE);
        let open = Arc::new(AtomicUsize::new(0));
        let left = open.clone();
        thread::Builder::new().spawn(move || {
            let mut failed = None;
            for event in queue {
                if let What::Shown(tell) = event.what {
                    let _ = tell.send(());
                    continue;
                }
                if failed.is_none() {
                    failed = shown.iter_mut().find_map(|shown| shown.show(&event).err());
                }
                // Nobody sees it any more. Those who are connected do not know, and are not cut off for that.
                if failed.is_some() && left.load(Ordering::SeqCst) == 0 {
                    if let Some(failure) = failed {
                        failure.exit();
                    }
                    return;
                }
            }
        })?;
        Ok(Show {
            began: Instant::now(),
            events,
            open,
        })
    }

    fn send(&self, connection: u64, what: What) {
        let event = Event {
            connection,
            elapsed: self.began.elapsed(),
            time: SystemTime::now(),
            what,
        };
        // The one that shows ends with the process, and not before.
        let _ = self.events.send(event);
    }

    /// Waits until everything is shown.
    pub fn finish(&self) {
        let (tell, told) = mpsc::sync_channel(1);
        self.send(0, What::Shown(tell));
        let _ = told.recv();
    }
}

impl fmt::Debug for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Show").finish_non_exhaustive()
    }
}
