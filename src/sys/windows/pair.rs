//! Two connected ends of a pipe whose name nobody knows.

use std::io;

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES, SECURITY_IDENTIFICATION,
};

use super::listener;
use super::os::{self, AsOurselves, Instance};
use super::stream::Stream;
use crate::error::{Fault, Reason};
use crate::kinds::{PipeMode, Role};
use crate::name::PipeName;
use crate::options::ListenOptions;

/// The server's end first. There is one instance, so that once its client is here nobody else can come; and it is our own
/// client, or it is nobody's.
pub(crate) fn pair(options: &ListenOptions) -> io::Result<(Stream, Stream)> {
    let path = os::random_path();
    let name = PipeName::from_os(path.clone().into());
    let instance = Instance {
        accept_remote: false,
        ..listener::instance(&name, options)?
    };
    let server = instance.create(&AsOurselves::begin()?, true)?;
    let mut access = FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES;
    if instance.directions.write {
        access |= GENERIC_READ;
    }
    if instance.directions.read {
        access |= GENERIC_WRITE;
    }
    let client = os::open(&os::wide(&path), access, SECURITY_IDENTIFICATION)?;
    if os::peer_pid(&server, Role::Server)? != std::process::id() {
        let why = "another process has connected to it before this one";
        return Err(Fault::new(Reason::NotAllowed, why).into());
    }
    if options.mode() == PipeMode::Message && instance.directions.write {
        os::set_message_read_mode(&client)?;
    }
    let end = |handle| -> io::Result<Stream> {
        let local = os::local(&handle)?;
        Ok(Stream::new(handle, local.role, Some(&local)))
    };
    Ok((end(server)?, end(client)?))
}
