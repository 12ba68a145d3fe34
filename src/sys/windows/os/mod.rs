//! The system calls of the Windows half: numbers become types and errors, and nothing is decided. A file a subject.

mod basics;
#[cfg(any(feature = "tokio", test))]
mod completion;
mod event;
mod info;
mod instance;
mod list;
mod open;
mod overlapped;
mod peer;
mod pool;
mod port;
mod security;
mod token;

pub(crate) use basics::ENDS;
#[cfg(test)]
pub(super) use basics::calls;
pub(super) use basics::{code, is_cancelled, is_end, wide};
#[cfg(any(feature = "tokio", test))]
pub(super) use completion::{Watch, outcome, skip_packets};
pub(crate) use event::Event;
pub(super) use event::wait_either;
pub(super) use info::{Empties, Local, Manners, limit, local, manners, path_of, peek};
#[cfg(test)]
pub(super) use instance::faults;
pub(super) use instance::{
    Instance, Listening, disconnect, listen, nt_path, random_path, tells_room,
};
pub(super) use list::list;
pub(super) use open::{
    WaitBuffer, exists, full_path, open, open_root, set_message_read_mode, wait_instance,
    wait_named_pipe,
};
pub(super) use overlapped::{Overlapped, Started, cancel, finish, progress, read, write};
pub(super) use peer::{is_local, peer_pid, peer_session};
pub(super) use pool::{Thread, flush, run_aside};
pub(super) use port::{Key, Packet, Port, leave_port};
pub(super) use security::{SecurityDescriptor, account, owner, security, sid_of};
pub(crate) use token::Impersonation;
pub(super) use token::{
    AsOurselves, Token, container_sid, is_administrator, owner_sid, restricted_logon_sid,
    system_default_security, user_sid,
};
#[cfg(test)]
pub(super) use token::{acting_as, confine};
