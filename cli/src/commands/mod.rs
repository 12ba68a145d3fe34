//! The subcommands, a file for each.

pub mod ask;
pub mod bench;
pub mod connect;
pub mod demo;
pub mod doctor;
pub mod info;
pub mod list;
pub mod listen;
pub mod mux;
pub mod relay;
pub mod replay;
pub mod shell;
pub mod tap;
