//! Connecting to a pipe's instance.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::OwnedHandle;
use std::task::Poll;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_PIPE_BUSY, GENERIC_READ, GENERIC_WRITE,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES, SECURITY_ANONYMOUS, SECURITY_DELEGATION,
    SECURITY_IDENTIFICATION, SECURITY_IMPERSONATION,
};

use super::lent::{GivenUp, Lent, Waiter};
use super::os::{self, Event};
use super::peer;
use super::stream::Stream;
use crate::attempt::{Attempt, Backoff, Connected};
use crate::error::{Fault, Reason};
use crate::identity::{ExpectServer, ImpersonationLevel};
use crate::kinds::{Directions, PipeMode, Role};
use crate::lane::{Operation, earlier};
use crate::name::PipeName;
use crate::options::{Access, ConnectOptions};

/// How long FSCTL_PIPE_WAIT is trusted to tell of a free instance: in Windows containers it does not always
/// (microsoft/go-winio 67, 75, 80).
const TRUST: Duration = Duration::from_millis(100);

type Masks = &'static [(u32, Directions)];

/// What a pipe is opened with, in turn until the system allows it: libuv's order. A reader needs FILE_WRITE_ATTRIBUTES to
/// set its read mode, a writer FILE_READ_ATTRIBUTES to look at the pipe.
const READ_WRITE: Masks = &[
    (GENERIC_READ | GENERIC_WRITE, Directions::BOTH),
    (GENERIC_READ | FILE_WRITE_ATTRIBUTES, READS),
    (GENERIC_WRITE | FILE_READ_ATTRIBUTES, WRITES),
    (GENERIC_READ, READS),
];
const READ: Masks = &[
    (GENERIC_READ | FILE_WRITE_ATTRIBUTES, READS),
    // All that the system's own default lets others do; on a byte pipe it is enough.
    (GENERIC_READ, READS),
];
const WRITE: Masks = &[(GENERIC_WRITE | FILE_READ_ATTRIBUTES, WRITES)];
/// 0 stands for the mask of the caller's own, of which the system will say what it allows.
const MASK: Masks = &[(0, Directions::BOTH)];

const READS: Directions = Directions {
    read: true,
    write: false,
};
const WRITES: Directions = Directions {
    read: false,
    write: true,
};

#[derive(Debug)]
pub(crate) struct Connector {
    masks: Masks,
    mask: u32,
    quality: u32,
    expect: Option<ExpectServer>,
    /// Another machine's.
    remote: bool,
    path: Vec<u16>,
    /// `\\.\pipe\`, and what follows it.
    root: String,
    name: OsString,
    /// What waits for an instance; None inside where it is unavailable.
    device: Option<Option<OwnedHandle>>,
    backoff: Backoff,
}

impl Connector {
    pub(crate) fn new(name: &PipeName, options: &ConnectOptions) -> io::Result<Connector> {
        let path = os::wide(name.os_path());
        // After `\\HOST\pipe\`, the fourth backslash.
        let end = path
            .iter()
            .enumerate()
            .filter(|&(_, &unit)| unit == u16::from(b'\\'))
            .nth(3)
            .map_or(path.len() - 1, |(at, _)| at + 1);
        let (masks, mask) = match options.access {
            Access::ReadWrite => (READ_WRITE, 0),
            Access::Read => (READ, 0),
            Access::Write => (WRITE, 0),
            Access::Mask(mask) => (MASK, mask),
        };
        Ok(Connector {
            masks,
            mask,
            quality: match options.impersonation {
                ImpersonationLevel::Anonymous => SECURITY_ANONYMOUS,
                ImpersonationLevel::Identification => SECURITY_IDENTIFICATION,
                ImpersonationLevel::Impersonation => SECURITY_IMPERSONATION,
                ImpersonationLevel::Delegation => SECURITY_DELEGATION,
            },
            expect: options.expect_server.clone(),
            remote: name.is_remote(),
            root: String::from_utf16_lossy(&path[..end]),
            name: OsString::from_wide(&path[end..path.len() - 1]),
            path,
            device: None,
            backoff: Backoff::new(),
        })
    }

    /// One attempt. It never waits.
    pub(crate) fn attempt(&mut self) -> Attempt<Stream> {
        let mut denied = None;
        for &(mask, directions) in self.masks {
            let mask = if mask == 0 { self.mask } else { mask };
            match os::open(&self.path, mask, self.quality) {
                Ok(handle) => match self.one_way(&handle, directions) {
                    true => return self.connected(handle, directions),
                    // The pipe goes both ways, and what was refused was refused to this user. (The server has a client
                    // that leaves at once: to look without coming is not possible.)
                    false => break,
                },
                Err(error) => match os::code(&error) {
                    // A pipe that goes one way refuses what would go the other.
                    ERROR_ACCESS_DENIED => {
                        denied.get_or_insert(error);
                    }
                    ERROR_PIPE_BUSY => return Attempt::Busy(error),
                    ERROR_FILE_NOT_FOUND => {
                        return Attempt::Absent {
                            reason: Reason::NoSuchPipe,
                            why: "no such pipe: nobody serves this name",
                            error,
                        };
                    }
                    _ => return Attempt::Failed(error),
                },
            }
        }
        Attempt::Failed(denied.unwrap_or_else(|| io::ErrorKind::PermissionDenied.into()))
    }

    /// Whether an end that was opened for `directions` alone was all that there is. Who asked for no more is not asked.
    fn one_way(&self, handle: &OwnedHandle, directions: Directions) -> bool {
        if directions == Directions::BOTH || !std::ptr::eq(self.masks, READ_WRITE) {
            return true;
        }
        os::local(handle).is_ok_and(|local| local.directions != Directions::BOTH)
    }

    fn connected(&self, handle: OwnedHandle, directions: Directions) -> Attempt<Stream> {
        let ready = || {
            if let Some(expected) = &self.expect {
                peer::check_server(&handle, expected, self.remote)?;
            }
            // An access mask may leave out what it takes to look.
            let local = os::local(&handle).ok();
            let mode = local.map_or(PipeMode::Byte, |local| local.mode);
            if mode == PipeMode::Message && directions.read {
                // Reads that lose boundaries would lose empty messages too.
                os::set_message_read_mode(&handle).map_err(|error| {
                    match os::code(&error) {
                        ERROR_ACCESS_DENIED => {
                            let why = "to read messages takes FILE_WRITE_ATTRIBUTES (0x100), which the access mask lacks";
                            Fault::new(Reason::NotAllowed, why).into()
                        }
                        _ => error,
                    }
                })?;
            }
            Ok(local)
        };
        match ready() {
            Ok(local) => Attempt::Connected(Connected {
                stream: Stream::new(handle, Role::Client, local.as_ref()),
                directions,
            }),
            Err(error) => Attempt::Failed(error),
        }
    }

    /// After a busy attempt: where to ask for a free instance, what for, and how long to believe that nothing comes. None of
    /// the first where this system, or that machine, does not tell.
    pub(super) fn free_instance(
        &mut self,
        until: Option<Instant>,
    ) -> (Option<&OwnedHandle>, os::WaitBuffer, Option<Instant>) {
        let until = earlier(until, TRUST);
        let left = until.map_or(TRUST, |until| {
            until.saturating_duration_since(Instant::now())
        });
        let question = os::WaitBuffer::new(&self.name, left);
        let root = &self.root;
        let device = self.device.get_or_insert_with(|| os::open_root(root).ok());
        (device.as_ref(), question, until)
    }

    /// After an attempt that found no server, or a busy one that nobody tells about: when to look again, in growing
    /// intervals.
    pub(super) fn next_look(&mut self, until: Option<Instant>) -> Option<Instant> {
        let next = earlier(until, self.backoff.time());
        self.backoff.grow();
        next
    }

    /// After a busy attempt: waits until an instance is free.
    pub(crate) fn wait_free(
        &mut self,
        until: Option<Instant>,
        cancel: Option<&Event>,
    ) -> io::Result<()> {
        let (device, question, trusted) = self.free_instance(until);
        if let Some(device) = device {
            // The waiter is asked for a single operation, and nobody else knows it.
            let waiter = Waiter::new();
            let mut wait = Lent::new(
                device,
                &waiter,
                GivenUp::Harmless,
                |device: &OwnedHandle, overlapped| {
                    // SAFETY: the OVERLAPPED and the question outlive the operation, which is dropped first.
                    unsafe { os::wait_instance(device, &question, overlapped) }
                },
            );
            match wait.poll() {
                Poll::Ready(Ok(_)) => return Ok(()),
                Poll::Pending => {
                    os::wait_either(Some(waiter.event()?), cancel, trusted);
                    return Ok(());
                }
                // It cannot wait, or the pipe has gone: the next attempt will tell which.
                Poll::Ready(Err(_)) => {}
            }
        }
        self.wait_server(until, cancel)
    }

    /// After an attempt that found no server: waits until it is time to look again.
    pub(crate) fn wait_server(
        &mut self,
        until: Option<Instant>,
        cancel: Option<&Event>,
    ) -> io::Result<()> {
        os::wait_either(None, cancel, self.next_look(until));
        Ok(())
    }
}
