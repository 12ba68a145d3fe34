//! Named pipes for two programs on one machine, often one in Rust and one in C#, Go, Node or C++.
//!
//! On Windows a pipe is the real `\\.\pipe\mypipe`; on Linux and macOS it is the Unix socket that .NET puts there for
//! the same name, so that one line of Rust and one line of C# meet on every system.
//!
//! ```no_run
//! use std::io::{BufRead, BufReader, Write};
//! use npipe::PipeListener;
//!
//! let listener = PipeListener::bind("mypipe")?;
//! let stream = listener.accept()?;
//! let mut line = String::new();
//! BufReader::new(&stream).read_line(&mut line)?;
//! writeln!(&stream, "Hello from Rust")?;
//! # std::io::Result::Ok(())
//! ```
//!
//! The C# for the other side:
//!
//! ```csharp
//! using (var pipe = new NamedPipeClientStream("mypipe"))
//! {
//!     pipe.Connect(5000);
//!     var writer = new StreamWriter(pipe) { AutoFlush = true };
//!     var reader = new StreamReader(pipe);
//!     writer.WriteLine("Hello from C#");
//!     Console.WriteLine(reader.ReadLine());
//! }
//! ```
//!
//! # What it does
//!
//! * [`PipeListener`] holds a name and returns a [`PipeStream`] for every client, in order, with none lost.
//! * [`PipeStream::connect`] waits for a busy server on the system's own events, as long as [`ConnectOptions`] allow.
//! * Streams are full duplex. Their deadlines also apply to a call that is already waiting, and no byte is lost.
//! * It is closed to others by default: owner-only pipes, no remote clients, and clients that a server may identify but
//!   not impersonate.
//!
//! # What it does not do
//!
//! * It does not connect machines; see [`PipeName`] for the one exception, on Windows.
//! * Without features it starts no thread, and depends on nothing but the bindings of the system. (On Windows
//!   `wait_drained` and `close_write` may wait for the peer on a thread of the system's own pool.)
//! * It puts no protocol on the pipe: what you write is what the other program reads.
//!
//! # Features
//!
//! All are off by default; `docs/frameworks.md` says what each brings.
//!
//! * `tokio`: the async half, `npipe::tokio`. On Windows it has one thread, made when it is first needed.
//! * `axum`: `axum::serve` takes the async listener, and `ConnectInfo<Peer>` says who asks.
//! * `hyper-util`: `PipeConnector`, for hyper's and tonic's clients.
//! * `tonic`: tonic's servers take the async listener's `incoming()`. Needs Rust 1.88, as tonic does.
//! * `serde`: names and the options' enums in configurations.
//!
//! # Errors
//!
//! All are [`std::io::Error`] with the [`ErrorKind`](std::io::ErrorKind) that each function names and a sentence that
//! says what failed on which pipe and why. [`PipeError::of`] gives what is inside: the [`Reason`], for programs to
//! decide by, and the system's own error as its [`source`](std::error::Error::source).
//!
//! # Platforms
//!
//! Windows 10 and later, Linux and macOS; FreeBSD is type-checked only. Where one of them lacks something, the
//! function's documentation says so, and the error is `Unsupported`. What only one of them has is labelled, and the
//! documentation for each of them shows it. The exceptions are conversions to and from the system's own types, since
//! `std` has their traits on that system only:
//!
//! | | Windows | Unix |
//! |---|---|---|
//! | [`PipeStream`] lends its handle | `AsHandle`, `AsRawHandle` | `AsFd`, `AsRawFd` |
//! | gives it away | `OwnedHandle: TryFrom` (or [`IntoHandleError`]), `IntoRawHandle` | `OwnedFd: From`, `UnixStream: From`, `IntoRawFd` |
//! | takes one | `TryFrom<OwnedHandle>` | `From<OwnedFd>`, `From<UnixStream>`, `FromRawFd` |
//! | [`PipeListener`] lends its socket | | `AsFd`, `AsRawFd` |
//! | takes one | | `TryFrom<OwnedFd>`, `TryFrom<UnixListener>` |

#![deny(unsafe_code, missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempt;
mod cancel;
mod connect;
mod error;
mod identity;
mod info;
mod kinds;
mod lane;
mod list;
mod listener;
mod name;
mod options;
mod pair;
#[cfg(any(windows, test))]
mod sddl;
mod security;
mod slots;
mod spelling;
mod stream;
#[allow(unsafe_code)] // the only place for it
mod sys;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tokio")]
mod wakers;

pub use cancel::CancelToken;
pub use error::{PipeError, Reason};
pub use identity::{ExpectServer, ImpersonationLevel, PeerIdentity};
pub use info::{PipeEntry, PipeInfo, PipeState};
pub use kinds::{Part, Peek, PipeMode, Role};
pub use list::{list, state};
pub use listener::{Incoming, PipeListener};
pub use name::PipeName;
pub use options::{Access, ConnectOptions, Direction, ListenOptions};
pub use security::Security;
pub use stream::PipeStream;
#[cfg(any(windows, all(doc, not(doctest))))]
#[cfg_attr(docsrs, doc(cfg(windows)))]
pub use sys::IntoHandleError;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct ReadmeDoctests;

#[doc = include_str!("../docs/from-go-winio.md")]
#[cfg(doctest)]
struct FromGoWinioDoctests;

#[doc = include_str!("../docs/async.md")]
#[cfg(all(doctest, feature = "tokio"))]
struct AsyncDoctests;

#[doc = include_str!("../docs/from-dotnet.md")]
#[cfg(doctest)]
struct FromDotnetDoctests;
