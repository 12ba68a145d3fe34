//! How much a non-blocking write may try.
//!
//! Of a write that has to wait, and is given up, nobody knows how much has gone. So no more is tried than there is room
//! for. Windows tells; Wine 10 does not, and there it is reckoned: what was written in all, less what a flush has found to be
//! read. A flush ends once nothing is unread, and what is written meanwhile puts that off: so while it is not known that there is
//! room, nothing more is tried.
//!
//! A single byte goes or does not. It can be tried where the room is not known, which Windows may lower by a read that the
//! peer has pending.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::{Mutex, PoisonError};

use super::aside::Flush;
use super::os;

#[derive(Debug, Default)]
pub(super) struct Credit(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    /// How much has been read at least, of all that was written.
    read: usize,
    /// A flush on its way, and what had been written when it began.
    flush: Option<(Flush, usize)>,
}

impl Credit {
    /// How many bytes can be written at once, of `written` so far.
    pub(super) fn room(&self, pipe: &OwnedHandle, written: usize) -> io::Result<usize> {
        let local = os::local(pipe)?;
        if local.room > 0 || os::tells_room()? {
            return Ok((local.room as usize).max(1));
        }
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((flush, at)) = &account.flush {
            match flush.result() {
                None => {}
                Some(Ok(())) => (account.read, account.flush) = (*at, None),
                Some(Err(error)) => {
                    account.flush = None;
                    return Err(error);
                }
            }
        }
        let unread = written.saturating_sub(account.read);
        let quota = (local.smaller_quota() as usize).max(1);
        let room = quota.saturating_sub(unread);
        if unread > 0 && account.flush.is_none() {
            account.flush = Some((Flush::start(pipe, || ())?, written));
        }
        Ok(room)
    }
}
