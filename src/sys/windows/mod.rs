//! Windows: the real named pipes, always overlapped, through `windows-sys`.

#[cfg(feature = "tokio")]
pub(crate) mod asynchronous;
pub(crate) mod list;
pub(crate) mod name;

mod ahead;
mod aside;
mod connect;
mod convert;
mod credit;
#[cfg(any(feature = "tokio", test))]
#[cfg_attr(not(feature = "tokio"), allow(dead_code, unused_imports))]
mod engine;
mod into_handle;
mod lent;
mod listener;
mod os;
mod pair;
mod peer;
mod queue;
mod security;
mod stream;

pub(crate) use aside::HalfClose;
pub(crate) use connect::Connector;
pub use into_handle::IntoHandleError;
pub(crate) use lent::Waiter;
pub(crate) use listener::{ListenWaiter, Listener};
pub(crate) use os::{ENDS, Event};
pub(crate) use pair::pair;
pub(crate) use peer::account;
pub(crate) use stream::Stream;
