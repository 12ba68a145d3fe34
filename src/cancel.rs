//! `CancelToken`: ends a wait from another thread.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::sys::Event;
#[cfg(feature = "tokio")]
use crate::wakers::Queue;

/// Ends, from any thread, every wait that it was passed to.
///
/// A cancelled token stays cancelled; its clones are the same token.
///
/// # Examples
///
/// ```
/// use std::io::ErrorKind;
/// use npipe::{CancelToken, ConnectOptions};
///
/// let token = CancelToken::new();
/// token.cancel();
/// let error = ConnectOptions::new()
///     .wait_for_server(true)
///     .cancel(&token)
///     .connect("a pipe that nobody serves")
///     .unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<Token>);

#[derive(Debug, Default)]
struct Token {
    cancelled: AtomicBool,
    /// Made by the first wait, so that a token that nobody waits on costs nothing.
    event: OnceLock<Event>,
    /// The tasks that wait.
    #[cfg(feature = "tokio")]
    tasks: Queue,
}

impl CancelToken {
    /// A token that is not cancelled yet.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Ends every wait that has this token, now and later. Calling it again has no effect.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        if let Some(event) = self.0.event.get() {
            event.set();
        }
        #[cfg(feature = "tokio")]
        self.0.tasks.wake_all();
    }

    /// The tasks that `cancel` wakes.
    #[cfg(feature = "tokio")]
    pub(crate) fn tasks(&self) -> &Queue {
        &self.0.tasks
    }

    /// Whether `cancel` has been called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// The event that `cancel` sets and that nothing resets.
    pub(crate) fn event(&self) -> io::Result<&Event> {
        if self.0.event.get().is_none() {
            // Another thread may have been first: then this one is dropped.
            let _ = self.0.event.set(Event::new()?);
        }
        let event = self.0.event.get().ok_or(io::ErrorKind::OutOfMemory)?;
        // `cancel` may have looked for the event before there was one.
        if self.is_cancelled() {
            event.set();
        }
        Ok(event)
    }
}
