//! The async half: the same pipes for tokio's tasks. Feature `tokio`.
//!
//! Names, options, errors and meanings are those of the blocking half ([`PipeListener`](crate::PipeListener),
//! [`PipeStream`](crate::PipeStream)); calls that may wait are `async`, the others are plain functions.
//!
//! ```no_run
//! use npipe::tokio::PipeListener;
//! use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
//!
//! # async fn serve() -> std::io::Result<()> {
//! let listener = PipeListener::bind("mypipe")?;
//! loop {
//!     let stream = listener.accept().await?;
//!     tokio::spawn(async move {
//!         let (read, mut write) = stream.into_split();
//!         let mut lines = BufReader::new(read).lines();
//!         while let Some(line) = lines.next_line().await? {
//!             write.write_all(format!("you said {line}\n").as_bytes()).await?;
//!         }
//!         std::io::Result::Ok(())
//!     });
//! }
//! # }
//! ```
//!
//! # Runtimes
//!
//! Listeners and streams are made inside a runtime (`bind` is a plain function, and fails outside one) that has its
//! drivers on: `enable_all`, as `#[tokio::main]` has it. On Windows `enable_time` is enough, and wakes tasks faster, since
//! the pipes have a port of their own. No call blocks a worker thread, and none uses the pool for blocking work. Dropping
//! streams, listeners and runtimes never waits.
//!
//! # Timeouts and cancellation
//!
//! They are tokio's own: `tokio::time::timeout`, `select!`, dropping the future. There are no deadlines here.
//! Dropping a future gives its call up:
//!
//! * a read, `recv`, `accept` or `connect` has taken nothing: the next call gets what comes;
//! * a write that was still pending has written nothing;
//! * a `send` arrives whole or not at all, in order.
//!
//! What was written with `Ok` arrives, even if the stream is dropped at once, and the runtime with it.

mod asks;
#[cfg(feature = "axum")]
mod axum;
mod connect;
#[cfg(feature = "hyper-util")]
mod hyper;
mod inner;
mod listener;
mod message;
#[cfg(any(feature = "axum", feature = "tonic"))]
mod peer;
mod split;
mod stream;
#[cfg(feature = "tonic")]
mod tonic;

#[cfg(feature = "hyper-util")]
pub use hyper::PipeConnector;

pub use listener::{Incoming, PipeListener};
#[cfg(any(feature = "axum", feature = "tonic"))]
pub use peer::Peer;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::PipeStream;
