//! All that differs from one system to another, and all `unsafe`.
//!
//! Every platform supplies, under these names and file by file:
//!
//! * `name::address`: what a spelling means here, as the path that the system is given;
//! * `Event`: a sticky event (`new`, `set`) that a connect can wait on beside its own business;
//! * `Waiter`: what moves a call that waits in a stream's lane ([`Waker`](crate::lane::Waker)), made lazily;
//! * `Stream`: an open pipe, with the operations `read`, `write`, `send`, `drain` for a lane to drive, and `close_write`
//!   (with the `HalfClose` that it leaves), `disconnect`, `peek`, `room`, `reads_ahead`; what is known of it: `describe`,
//!   `info`, `security`, `peer_pid`, `peer_identity`, `is_connected`. What one system alone can do has no counterpart on the
//!   other: on Unix `read_vectored`, `write_vectored`, and `read_blocking`, `write_blocking` for a stream's only owner;
//! * `ENDS`: the errors that mean that the other side has gone, where `std` has no kind for them;
//! * `Listener`: a name that is held, and its `slots`: `bind`, `accept` for a lane to drive, `released` when a slot came
//!   free, `close`, `info`, `security`; `ListenWaiter` is what moves a call that waits in its lane;
//! * `pair`: two connected streams that no name leads to;
//! * `Connector`: `attempt` to connect, which never waits, `wait_free` for a busy server, `wait_server` for one that is not
//!   there;
//! * `list::list`: the existing pipes; `list::state`: whether anybody serves one.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::IntoHandleError;
#[cfg(windows)]
pub(crate) use windows::*;

/// What Windows alone has is documented everywhere.
#[cfg(all(doc, not(doctest), unix))]
#[path = "windows/into_handle.rs"]
mod into_handle;
#[cfg(all(doc, not(doctest), unix))]
pub use into_handle::IntoHandleError;

/// The states of the Windows engine know no system: their model tests run on this one too.
#[cfg(all(test, unix))]
#[allow(dead_code, unused_imports)] // what Windows alone uses
#[path = "windows/engine/states/mod.rs"]
mod states;

#[cfg(not(any(unix, windows)))]
compile_error!(
    "npipe knows the named pipes of Windows and the local sockets of Unix; this system has neither"
);
