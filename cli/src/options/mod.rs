//! The options that several commands share, a file for each thing that they are about. They know no command.

mod amounts;
mod carry;
mod dial;
mod serve;

pub use amounts::{Patience, bytes, duration};
pub use carry::{Carry, Framing, Ways};
pub use dial::Dial;
pub use serve::Serve;
