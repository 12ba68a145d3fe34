//! Connecting to a pipe's instance.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::OwnedHandle;
use std::task::Poll;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, ERROR_PIPE_BUSY, GENERIC_READ, GENERIC_WRITE,
};
use windows_sys::Win32::Storage::FileSystem::SECURITY_IDENTIFICATION;

use super::event::Event;
use super::os;
use super::overlapped::{GivenUp, Overlapped, Waiter};
use super::stream::Stream;
use crate::connect::{Attempt, Connected};
use crate::lane::{Operation, earlier};
use crate::{ConnectOptions, PipeMode, PipeName};

/// How long FSCTL_PIPE_WAIT is trusted to tell of a free instance: in Windows containers it does not always
/// (microsoft/go-winio 67, 75, 80).
const TRUST: Duration = Duration::from_millis(100);

const SHORTEST_SLICE: Duration = Duration::from_millis(1);
const LONGEST_SLICE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Connector {
    path: Vec<u16>,
    /// `\\.\pipe\`, and what follows it.
    root: String,
    name: OsString,
    /// What waits for an instance; None inside where it cannot be had.
    device: Option<Option<OwnedHandle>>,
    slice: Duration,
}

impl Connector {
    pub(crate) fn new(name: &PipeName, _options: &ConnectOptions) -> io::Result<Connector> {
        let path = os::wide(name.os_path());
        // After `\\HOST\pipe\`, the fourth backslash.
        let end = path
            .iter()
            .enumerate()
            .filter(|&(_, &unit)| unit == u16::from(b'\\'))
            .nth(3)
            .map_or(path.len() - 1, |(at, _)| at + 1);
        Ok(Connector {
            root: String::from_utf16_lossy(&path[..end]),
            name: OsString::from_wide(&path[end..path.len() - 1]),
            path,
            device: None,
            slice: SHORTEST_SLICE,
        })
    }

    /// One attempt. It never waits.
    pub(crate) fn attempt(&mut self, _until: Option<Instant>, _cancellable: bool) -> Attempt {
        let opened = os::open(
            &self.path,
            GENERIC_READ | GENERIC_WRITE,
            // None would let the server act as its client.
            SECURITY_IDENTIFICATION,
        );
        match opened {
            Ok(handle) => match ready(&handle) {
                Ok(mode) => Attempt::Connected(Connected {
                    stream: Stream::new(handle),
                    mode,
                }),
                Err(error) => Attempt::Failed(error),
            },
            Err(error) => match os::code(&error) {
                ERROR_PIPE_BUSY => Attempt::Busy(error),
                ERROR_FILE_NOT_FOUND => Attempt::Absent {
                    why: "no such pipe: nobody serves this name",
                    error,
                },
                _ => Attempt::Failed(error),
            },
        }
    }

    /// After a busy attempt: waits until an instance is free.
    pub(crate) fn wait_free(
        &mut self,
        until: Option<Instant>,
        cancel: Option<&Event>,
    ) -> io::Result<()> {
        if self.device.is_none() {
            self.device = Some(os::open_root(&self.root).ok());
        }
        let until = earlier(until, TRUST);
        let left = until.map_or(TRUST, |until| {
            until.saturating_duration_since(Instant::now())
        });
        if let Some(Some(device)) = &self.device {
            // The waiter is asked for a single operation, and nobody else knows it.
            let waiter = Waiter::new();
            let buffer = os::WaitBuffer::new(&self.name, left);
            let mut wait = Overlapped::new(
                device,
                &waiter,
                GivenUp::Harmless,
                |device: &OwnedHandle, overlapped| {
                    // SAFETY: the OVERLAPPED and the buffer outlive the operation, which is dropped first.
                    unsafe { os::wait_instance(device, &buffer, overlapped) }
                },
            );
            match wait.poll() {
                Poll::Ready(Ok(_)) => return Ok(()),
                Poll::Pending => {
                    os::wait_either(Some(waiter.event()?), cancel.map(Event::os), until);
                    return Ok(());
                }
                // It cannot wait, or the pipe has gone: the next attempt will tell which.
                Poll::Ready(Err(_)) => {}
            }
        }
        self.sleep(until, cancel);
        Ok(())
    }

    /// After an attempt that found no server: looks again in growing intervals.
    pub(crate) fn wait_server(
        &mut self,
        until: Option<Instant>,
        cancel: Option<&Event>,
    ) -> io::Result<()> {
        self.sleep(until, cancel);
        Ok(())
    }

    fn sleep(&mut self, until: Option<Instant>, cancel: Option<&Event>) {
        os::wait_either(None, cancel.map(Event::os), earlier(until, self.slice));
        self.slice = (self.slice * 2).min(LONGEST_SLICE);
    }
}

/// Finds out what kind of pipe it is, and makes reads of it keep what boundaries there are.
fn ready(handle: &OwnedHandle) -> io::Result<PipeMode> {
    if !os::local(handle)?.message {
        return Ok(PipeMode::Byte);
    }
    os::set_message_read_mode(handle)?;
    Ok(PipeMode::Message)
}
