//! The engine of the asynchronous half: one completion port and one thread for the process, made when first needed.
//!
//! The thread does nothing but look how far operations have come and wake `std::task::Waker`s: it knows no runtime, and
//! outlives any. Whatever the system holds (an `OVERLAPPED`, a buffer) is a stream's, and the stream's insides are the
//! engine's table's too, under a key that no other handle has, until the system has released all of it: so a
//! stream can be dropped, and a future forgotten, at any moment.
//!
//! * [`core`]: the port, the thread, the table;
//! * [`memory`]: what the system may write to, and the pool of buffers;
//! * [`pipe`]: the system's part of a stream's two directions, for the machines of [`states`];
//! * [`stream`]: a stream that is polled; [`accepting`]: a listener's instances; [`free`]: waiting for a busy server.

mod accepting;
mod core;
mod free;
mod memory;
mod pipe;
mod stream;

// The simulated tests take the machines from here; so does whoever looks for the states of an operation.
pub(super) mod states;

#[cfg(test)]
mod tests;

pub(crate) use accepting::successor;
pub(crate) use free::Free;
pub(crate) use states::{Sending, Who};
pub(crate) use stream::AsyncStream;
