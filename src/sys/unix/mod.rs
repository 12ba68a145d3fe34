//! Unix: .NET's named pipes, which are stream sockets at a path, through `rustix`.

pub(crate) mod list;
pub(crate) mod name;

#[cfg(feature = "tokio")]
pub(crate) mod asynchronous;
mod connect;
mod convert;
#[cfg(target_os = "linux")]
mod diag;
mod directory;
mod event;
mod forks;
mod listener;
mod operations;
mod os;
mod packets;
mod pair;
mod peer;
mod place;
mod slices;
mod stream;
#[cfg(feature = "tokio")]
mod unsent;

pub(crate) use connect::Connector;
pub(crate) use event::{Event, Waiter};
pub(crate) use listener::Listener;
pub(crate) use pair::pair;
pub(crate) use stream::{HalfClose, Stream};

/// The errors by which this system says that the other side has gone, and for which `std` has no kind: none.
pub(crate) const ENDS: &[i32] = &[];

/// What moves a call that waits in `accept`: here the same as for a stream, and known to the listener too.
pub(crate) type ListenWaiter = std::sync::Arc<Waiter>;
