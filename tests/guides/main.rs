//! The programs of the guides (`docs/from-*.md`) talk, and what the guides say of others is so: each claim beside theirs.
//! `tests/docs.rs` sees to it that the guides show these programs.

#[path = "../common/mod.rs"]
mod common;

mod interprocess_after;
mod interprocess_before;
mod interprocesses;
mod std_after;
#[cfg(unix)]
mod std_before;
mod stds;
#[cfg(feature = "tokio")]
mod tokio_after;
#[cfg(all(feature = "tokio", windows))]
mod tokio_before;
#[cfg(feature = "tokio")]
mod tokios;
