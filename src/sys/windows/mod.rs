//! Windows: the real named pipes, always overlapped, through `windows-sys`.

pub(crate) mod list;
pub(crate) mod name;

mod ahead;
mod aside;
mod connect;
mod convert;
mod credit;
#[cfg(test)] // until there is something that uses it
#[allow(dead_code)]
mod engine;
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
pub use convert::IntoHandleError;
pub(crate) use lent::Waiter;
pub(crate) use listener::{ListenWaiter, Listener};
pub(crate) use os::Event;
pub(crate) use pair::pair;
pub(crate) use peer::account;
pub(crate) use stream::Stream;
