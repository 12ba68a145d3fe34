//! Windows: the real named pipes, always overlapped, through `windows-sys`.

pub(crate) mod list;
pub(crate) mod name;

mod ahead;
mod aside;
mod connect;
mod convert;
mod event;
mod listener;
mod os;
mod overlapped;
mod peer;
mod security;
mod stream;

pub(crate) use aside::HalfClose;
pub(crate) use connect::Connector;
pub(crate) use event::Event;
pub(crate) use listener::{ListenWaiter, Listener};
pub(crate) use overlapped::Waiter;
pub(crate) use stream::Stream;
