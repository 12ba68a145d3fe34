//! Events that a connect can wait on.

use std::io;

use super::os;

/// Set once and for all; a wait sees it from then on.
#[derive(Debug)]
pub(crate) struct Event(os::Event);

impl Event {
    pub(crate) fn new() -> io::Result<Event> {
        Ok(Event(os::Event::sticky()?))
    }

    pub(crate) fn set(&self) {
        self.0.set();
    }

    pub(super) fn os(&self) -> &os::Event {
        &self.0
    }
}
