//! Many connections over one program: what `mux:COMMAND LINE` keeps, and `npipe mux` is the other end of.
//!
//! `wire` is the program's stdin and stdout as two buffers, `engine` the multiplexer (yamux) on them, `channel` one
//! connection in it, `frame` what is said within one, `session` a program at work, `keeper` starts it again.
//!
//! The multiplexer has a stream and a window for each connection, so that one that is not read holds up itself alone.
//! What it has not is in our frames: where a message ends, a half close that can be told from a connection that was cut
//! off, and what became of dialling at the other end.

pub mod channel;
mod engine;
pub mod frame;
pub mod keeper;
mod park;
pub mod session;
mod wire;
