//! What is copied of a connection, which way, in which form.

use std::time::Duration;

use clap::{Args, ValueEnum};
use npipe::Access;

use super::amounts::duration;

/// Which ways a pipe is opened for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Ways {
    #[default]
    Rw,
    R,
    W,
}

impl From<Ways> for Access {
    fn from(ways: Ways) -> Access {
        match ways {
            Ways::Rw => Access::ReadWrite,
            Ways::R => Access::Read,
            Ways::W => Access::Write,
        }
    }
}

/// What of stdin is one message, and what follows one on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Framing {
    /// A line is a message.
    Lines,
    /// What ends in a NUL is one.
    Nul,
    /// What one read brings is one, and nothing follows one.
    Raw,
}

/// What is copied of a connection, and how it shows.
#[derive(Clone, Debug, Args)]
pub struct Carry {
    /// Show bytes, rate and time on stderr
    #[arg(long)]
    pub progress: bool,

    /// At the end of input, end after so long a silence
    #[arg(
        long,
        value_name = "TIME",
        value_parser = duration,
        allow_hyphen_values = true
    )]
    pub linger: Option<Duration>,

    /// Read, write or both, seen from here: r, w, rw
    #[arg(
        long,
        value_name = "WAYS",
        default_value = "rw",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub access: Ways,

    /// Messages: one per line, or with =nul or =raw
    #[arg(long, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "lines")]
    #[arg(hide_possible_values = true)]
    pub message: Option<Framing>,
}
