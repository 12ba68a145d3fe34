//! The states of a pipe's two directions, and who waits for them: what a completion port tells, made into polls.
//!
//! Nothing here knows a system, and the tests run it against a simulated one ([`model`]). What a system does for one
//! direction is a [`Source`] or a [`Sink`]; each has one operation, whose memory is the system's from a start that was
//! `Pending` until `look` is ready. That `look` alone decides. A packet of the port is only a hint to look again: one
//! that comes late, twice, or for an operation that somebody has seen the end of already, changes nothing.

mod reading;
mod system;
mod wakers;
mod writing;

#[cfg(test)]
mod model;

pub(crate) use reading::Reading;
pub(crate) use system::{Sink, Source};
pub(crate) use wakers::{Wakers, Who, Woken};
pub(crate) use writing::{Sending, Writing};
