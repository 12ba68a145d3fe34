//! Drives the real binary, the same tests on every system: the peers are the library in this process, or `npipe` again.

mod ask;
mod bench;
mod demo;
mod ends;
mod exit_codes;
mod harness;
mod help;
mod look;
#[cfg(any(windows, target_os = "linux"))] // no other system has messages
mod messages;
mod mux;
mod programs;
mod readme;
mod relay;
mod replay;
mod shell;
mod size;
#[cfg(unix)]
mod stdio;
mod tap;
#[cfg(target_os = "linux")]
mod terminal;
