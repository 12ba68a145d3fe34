//! Several buffers, to be written by one call of the system's.

use std::io::{ErrorKind, IoSlice};

use super::state::State;
use crate::error::{Fault, Reason};
use crate::kinds::PipeMode;
use crate::lane::Failure;

/// The most that buffers are gathered for in one call, in bytes, where no message has to stay whole.
pub(super) const MOST: usize = 65536;

/// What several buffers come to.
#[derive(Debug)]
pub(crate) enum Buffers<'a, 'b> {
    Empty,
    One(&'a [u8]),
    /// The first of them is not empty.
    Several(&'a [IoSlice<'b>]),
}

impl<'a, 'b> Buffers<'a, 'b> {
    pub(crate) fn of(slices: &'a [IoSlice<'b>]) -> Buffers<'a, 'b> {
        let Some(first) = slices.iter().position(|slice| !slice.is_empty()) else {
            return Buffers::Empty;
        };
        match slices[first + 1..].iter().all(|slice| slice.is_empty()) {
            true => Buffers::One(&slices[first]),
            false => Buffers::Several(&slices[first..]),
        }
    }
}

/// A copy of all of a message, or of as many bytes as one call takes.
pub(crate) fn gathered(slices: &[IoSlice<'_>], state: &State) -> Result<Vec<u8>, Failure> {
    let total = slices.iter().map(|slice| slice.len()).sum::<usize>();
    let room = match state.mode() {
        PipeMode::Byte => total.min(MOST),
        PipeMode::Message => {
            state.check_length(total)?;
            total
        }
    };
    let mut gathered = Vec::new();
    gathered.try_reserve_exact(room).map_err(|_| {
        let why = format!("there is no memory for a copy of {room} bytes");
        let fault = Fault::new(Reason::System, why).kind(ErrorKind::OutOfMemory);
        Failure::System(fault.into())
    })?;
    for slice in slices {
        let left = room - gathered.len();
        gathered.extend_from_slice(&slice[..slice.len().min(left)]);
    }
    Ok(gathered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_buffers_do_not_count() {
        let of = |lengths: &[usize]| {
            let bytes = [0; 8];
            let slices: Vec<_> = lengths
                .iter()
                .map(|&it| IoSlice::new(&bytes[..it]))
                .collect();
            match Buffers::of(&slices) {
                Buffers::Empty => vec![],
                Buffers::One(one) => vec![one.len()],
                Buffers::Several(several) => several.iter().map(|slice| slice.len()).collect(),
            }
        };
        assert_eq!(of(&[]), [0; 0]);
        assert_eq!(of(&[0, 0]), [0; 0]);
        assert_eq!(of(&[3]), [3]);
        assert_eq!(of(&[0, 3, 0]), [3]);
        assert_eq!(of(&[0, 3, 0, 4]), [3, 0, 4]);
    }
}
