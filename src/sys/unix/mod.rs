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
mod listener;
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

/// What moves a call that waits in `accept`: here the same as for a stream.
pub(crate) type ListenWaiter = Waiter;
