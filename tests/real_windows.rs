//! What Wine 10 cannot show: access checks, impersonation levels, listing, remote names, the first instance. Run on real
//! Windows by the workflow, with `cargo test -- --include-ignored real_windows`.

#![cfg(windows)]

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use common::{name, pair_on, read_all, watchdog};
use npipe::{
    Access, ConnectOptions, Direction, ImpersonationLevel, ListenOptions, PipeListener, PipeName,
    PipeState, PipeStream, Security,
};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_CANT_OPEN_ANONYMOUS, GENERIC_READ, GENERIC_WRITE, HANDLE,
    INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Security::{
    CreateRestrictedToken, CreateWellKnownSid, GetTokenInformation, ImpersonateLoggedOnUser,
    LUA_TOKEN, RevertToSelf, SECURITY_IMPERSONATION_LEVEL, SID_AND_ATTRIBUTES, SecurityDelegation,
    SecurityIdentification, SecurityImpersonation, TOKEN_ALL_ACCESS, TOKEN_QUERY,
    TokenImpersonationLevel, WinWorldSid,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, PIPE_ACCESS_DUPLEX,
};
use windows_sys::Win32::System::IO::CreateIoCompletionPort;
use windows_sys::Win32::System::Pipes::{CreateNamedPipeW, PIPE_UNLIMITED_INSTANCES};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, OpenProcessToken, OpenThreadToken,
};

/// # Safety
///
/// A new handle of the caller's own, or one of the two failures.
unsafe fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// `work` as somebody who may do what this user may, as far as Everyone may do it: an access check needs both.
fn as_a_stranger<T>(work: impl FnOnce() -> T) -> T {
    let mut everyone = [0u32; 17];
    let mut length = size_of_val(&everyone) as u32;
    let (mut token, mut restricted) = (null_mut(), null_mut());
    // SAFETY: locals of the right types and sizes; the handles are new ones.
    let restricted = unsafe {
        assert_ne!(
            CreateWellKnownSid(
                WinWorldSid,
                null_mut(),
                everyone.as_mut_ptr().cast(),
                &mut length
            ),
            0
        );
        assert_ne!(
            OpenProcessToken(GetCurrentProcess(), TOKEN_ALL_ACCESS, &mut token),
            0
        );
        let token = owned(token).unwrap();
        let only = SID_AND_ATTRIBUTES {
            Sid: everyone.as_mut_ptr().cast(),
            Attributes: 0,
        };
        let made = CreateRestrictedToken(
            token.as_raw_handle(),
            0,
            0,
            null(),
            0,
            null(),
            1,
            &only,
            &mut restricted,
        );
        assert_ne!(made, 0, "{}", io::Error::last_os_error());
        owned(restricted).unwrap()
    };
    // SAFETY: an open token, and this thread's own.
    unsafe { assert_ne!(ImpersonateLoggedOnUser(restricted.as_raw_handle()), 0) };
    let result = work();
    // SAFETY: as above.
    unsafe { assert_ne!(RevertToSelf(), 0) };
    result
}

/// One more instance of a pipe, as another program makes it.
fn squat(name: &PipeName, flags: u32) -> io::Result<OwnedHandle> {
    let path: Vec<u16> = name
        .os_path()
        .as_os_str()
        .encode_wide()
        .chain([0])
        .collect();
    // SAFETY: a path that ends with NUL; the handle is new.
    unsafe {
        owned(CreateNamedPipeW(
            path.as_ptr(),
            PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | flags,
            0,
            PIPE_UNLIMITED_INSTANCES,
            0,
            0,
            0,
            null(),
        ))
    }
}

fn denied<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(
        error.raw_os_error(),
        Some(ERROR_ACCESS_DENIED as i32),
        "{error}"
    );
}

#[test]
#[ignore = "real Windows only: Wine checks no access"]
fn real_windows_owner_only_refuses_a_stranger() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("owner")).unwrap();
    let path = listener.local_addr().os_path();
    let error = as_a_stranger(|| PipeStream::connect(path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(
        error.to_string().contains("security does not let"),
        "{error}"
    );
    // The next good client is served.
    pair_on(&listener);
}

#[test]
#[ignore = "real Windows only: Wine checks no access"]
fn real_windows_everyone_admits_a_stranger_who_cannot_add_instances() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .security(Security::Everyone)
        .bind(name("everyone"))
        .unwrap();
    let mut client =
        as_a_stranger(|| PipeStream::connect(listener.local_addr().os_path())).unwrap();
    let server = listener.accept().unwrap();
    client.write_all(b"hello").unwrap();
    drop(client);
    assert_eq!(read_all(&server).unwrap(), b"hello");
    denied(as_a_stranger(|| squat(listener.local_addr(), 0)));
}

#[test]
#[ignore = "real Windows only: Wine checks no access"]
fn real_windows_a_security_without_its_own_server_is_told_so() {
    let error = ListenOptions::new()
        .security(Security::Sddl("D:P(A;;0x12019b;;;WD)".into()))
        .bind(name("locked-out"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("0x4"), "{error}");
}

#[test]
#[ignore = "real Windows only: Wine keeps no mandatory label"]
fn real_windows_a_mandatory_label_is_set_and_read_back() {
    let listener = ListenOptions::new()
        .security(Security::Sddl("D:P(A;;GA;;;WD)S:(ML;;NW;;;LW)".into()))
        .bind(name("label"))
        .unwrap();
    let security = listener.security_descriptor().unwrap();
    assert!(security.contains("(ML;;NW;;;LW)"), "{security}");
    pair_on(&listener);
}

#[test]
#[ignore = "real Windows only: Wine ignores FILE_FLAG_FIRST_PIPE_INSTANCE"]
fn real_windows_the_name_is_taken_for_programs_that_ask_for_the_first_instance() {
    let listener = PipeListener::bind(name("first")).unwrap();
    denied(squat(listener.local_addr(), FILE_FLAG_FIRST_PIPE_INSTANCE));
    // And the other way round.
    let taken = PipeName::new(name("first")).unwrap();
    let _squatter = squat(&taken, 0).unwrap();
    let error = PipeListener::bind(taken.os_path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
}

#[test]
#[ignore = "real Windows only: Wine has no impersonation levels"]
fn real_windows_a_server_gets_the_level_that_the_client_allows() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("levels")).unwrap();
    let seen = |level: ImpersonationLevel| {
        let mut client = ConnectOptions::new()
            .impersonation(level)
            .connect(listener.local_addr().os_path())
            .unwrap();
        let mut server = listener.accept().unwrap();
        client.write_all(b"x").unwrap();
        server.read_exact(&mut [0]).unwrap();
        server.impersonate_client(thread_level).unwrap()
    };
    let anonymous = seen(ImpersonationLevel::Anonymous).unwrap_err();
    assert_eq!(
        anonymous.raw_os_error(),
        Some(ERROR_CANT_OPEN_ANONYMOUS as i32)
    );
    assert_eq!(
        seen(ImpersonationLevel::Identification).unwrap(),
        SecurityIdentification
    );
    assert_eq!(
        seen(ImpersonationLevel::Impersonation).unwrap(),
        SecurityImpersonation
    );
    let delegation = seen(ImpersonationLevel::Delegation).unwrap();
    assert!([SecurityImpersonation, SecurityDelegation].contains(&delegation));
    // Whoever says nothing is identified, and no more.
    let (mut server, mut client) = pair_on(&listener);
    client.write_all(b"x").unwrap();
    server.read_exact(&mut [0]).unwrap();
    let level = server.impersonate_client(thread_level).unwrap().unwrap();
    assert_eq!(level, SecurityIdentification);
    // And the thread is itself again.
    assert!(thread_level().is_err());
}

fn thread_level() -> io::Result<SECURITY_IMPERSONATION_LEVEL> {
    let mut token = null_mut();
    let mut level = 0;
    let mut length = 0;
    // SAFETY: locals of the right types and sizes; the handle is new.
    unsafe {
        if OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, 1, &mut token) == 0 {
            return Err(io::Error::last_os_error());
        }
        let token = owned(token)?;
        assert_ne!(
            GetTokenInformation(
                token.as_raw_handle(),
                TokenImpersonationLevel,
                (&raw mut level).cast(),
                size_of_val(&level) as u32,
                &mut length,
            ),
            0
        );
    }
    Ok(level)
}

#[test]
#[ignore = "real Windows only: Wine lists no pipes"]
fn real_windows_pipes_are_listed_without_opening_any() {
    let _watchdog = watchdog(60);
    let name = name("listed");
    let listener = ListenOptions::new().backlog(2).bind(&name).unwrap();
    let all = npipe::list().unwrap();
    let found = all.iter().find(|entry| entry.name() == name).unwrap();
    assert_eq!(found.state(), PipeState::Live);
    assert_eq!(found.address(), listener.local_addr());
    assert_eq!(found.instances(), Some(2));
    assert_eq!(found.max_instances(), None);
    // The server has noticed nothing: who is accepted is who connects now.
    let mut client = PipeStream::connect(&name).unwrap();
    client.write_all(b"first").unwrap();
    drop(client);
    assert_eq!(read_all(&listener.accept().unwrap()).unwrap(), b"first");
}

#[test]
#[ignore = "real Windows only: Wine has no remote names"]
fn real_windows_remote_clients_are_refused_unless_they_are_asked_for() {
    let _watchdog = watchdog(120);
    for accept in [false, true] {
        let name = name("remote");
        let listener = ListenOptions::new()
            .accept_remote_clients(accept)
            .bind(&name)
            .unwrap();
        let client = PipeStream::connect(format!(r"\\localhost\pipe\{name}"));
        if accept {
            let (server, mut client) = (listener.accept().unwrap(), client.unwrap());
            client.write_all(b"from afar").unwrap();
            drop(client);
            assert_eq!(read_all(&server).unwrap(), b"from afar");
        } else {
            client.unwrap_err();
        }
    }
}

#[test]
#[ignore = "real Windows only: Wine checks no direction at the open"]
fn real_windows_a_client_gets_the_one_way_that_there_is() {
    let _watchdog = watchdog(60);
    for (direction, access, mask) in [
        (Direction::Inbound, Access::Read, GENERIC_READ),
        (Direction::Outbound, Access::Write, GENERIC_WRITE),
    ] {
        let listener = ListenOptions::new()
            .direction(direction)
            .bind(name("one-way"))
            .unwrap();
        for access in [access, Access::Mask(mask)] {
            let error = ConnectOptions::new()
                .access(access)
                .connect(listener.local_addr().os_path())
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        }
    }
}

/// `work` with the rights that this user has outside of elevated processes.
fn as_not_elevated<T>(work: impl FnOnce() -> T) -> T {
    let (mut token, mut plain) = (null_mut(), null_mut());
    // SAFETY: locals of the right types; the handles are new ones.
    let plain = unsafe {
        assert_ne!(
            OpenProcessToken(GetCurrentProcess(), TOKEN_ALL_ACCESS, &mut token),
            0
        );
        let token = owned(token).unwrap();
        let made = CreateRestrictedToken(
            token.as_raw_handle(),
            LUA_TOKEN,
            0,
            null(),
            0,
            null(),
            0,
            null(),
            &mut plain,
        );
        assert_ne!(made, 0, "{}", io::Error::last_os_error());
        owned(plain).unwrap()
    };
    // SAFETY: an open token, and this thread's own.
    unsafe { assert_ne!(ImpersonateLoggedOnUser(plain.as_raw_handle()), 0) };
    let result = work();
    // SAFETY: as above.
    unsafe { assert_ne!(RevertToSelf(), 0) };
    result
}

// The access check of a new instance is made for the thread that makes it (CreateNamedPipe, "Named Pipe Security and Access
// Rights": FILE_CREATE_PIPE_INSTANCE).
#[test]
#[ignore = "real Windows only: Wine checks no access"]
fn real_windows_a_server_that_acts_as_its_client_makes_instances_as_itself() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .backlog(1)
        .bind(name("acting"))
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..4 {
                PipeStream::connect(listener.local_addr().os_path()).unwrap();
            }
        });
        as_a_stranger(|| {
            for _ in 0..4 {
                listener.accept().unwrap();
            }
        });
    });
}

// CreateFile asks for all of the access mask, or fails with ERROR_ACCESS_DENIED; a pipe that goes one way says so in
// FILE_PIPE_LOCAL_INFORMATION.NamedPipeConfiguration (ntifs.h).
#[test]
#[ignore = "real Windows only: Wine checks no access"]
fn real_windows_who_may_only_read_is_refused_at_the_connect() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .security(Security::OsDefault)
        .bind(name("reader"))
        .unwrap();
    let path = listener.local_addr().os_path();
    let error = as_a_stranger(|| PipeStream::connect(path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    as_a_stranger(|| ConnectOptions::new().access(Access::Read).connect(path)).unwrap();
    // Where there is one way alone, whoever asks for all there is gets that.
    let listener = ListenOptions::new()
        .security(Security::OsDefault)
        .direction(Direction::Outbound)
        .bind(name("reader"))
        .unwrap();
    let path = listener.local_addr().os_path();
    as_a_stranger(|| PipeStream::connect(path)).unwrap();
}

// What the documentation of Security::OwnerOnly says of an elevated server.
#[test]
#[ignore = "real Windows only, in an elevated process: Wine checks no access"]
fn real_windows_an_elevated_server_admits_its_user_who_cannot_add_instances() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("elevated")).unwrap();
    let path = listener.local_addr().os_path();
    let mut client = as_not_elevated(|| PipeStream::connect(path)).unwrap();
    let mut server = listener.accept().unwrap();
    client.write_all(b"x").unwrap();
    server.read_exact(&mut [0]).unwrap();
    denied(as_not_elevated(|| squat(listener.local_addr(), 0)));
    // And the server itself goes on.
    for _ in 0..40 {
        pair_on(&listener);
    }
}

// CreateNamedPipe, lpSecurityAttributes: what a pipe gets of which nothing is said.
#[test]
#[ignore = "real Windows only: Wine has no default for pipes"]
fn real_windows_os_default_is_what_a_pipe_gets_of_which_nothing_is_said() {
    let listener = ListenOptions::new()
        .security(Security::OsDefault)
        .bind(name("default"))
        .unwrap();
    let other = squat(&PipeName::new(name("default")).unwrap(), 0).unwrap();
    let other = PipeStream::try_from(other).unwrap();
    assert_eq!(
        listener.security_descriptor().unwrap(),
        other.security_descriptor().unwrap()
    );
}

// FILE_PIPE_PEEK_BUFFER.NumberOfMessages (ntifs.h), which counts empty messages too.
#[test]
#[ignore = "real Windows only: Wine counts no messages"]
fn real_windows_a_half_close_shows_in_a_peek() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .message_mode(true)
        .bind(name("peek"))
        .unwrap();
    let (server, client) = pair_on(&listener);
    assert!(!server.peek().unwrap().ended);
    client.close_write().unwrap();
    while !server.peek().unwrap().ended {
        std::thread::yield_now();
    }
    let mut message = Vec::new();
    assert_eq!(server.recv(&mut message).unwrap(), Some(0));
    assert!(!server.peek().unwrap().ended);
}

// FileReplaceCompletionInformation (ntifs.h, Windows 8.1).
#[test]
#[ignore = "real Windows only: in Wine a handle keeps its port"]
fn real_windows_a_servers_handle_is_free_for_another_port() {
    let listener = PipeListener::bind(name("port")).unwrap();
    let (server, _client) = pair_on(&listener);
    let handle = OwnedHandle::try_from(server).unwrap();
    // SAFETY: open handles; the port is a new one.
    unsafe {
        let port = owned(CreateIoCompletionPort(
            INVALID_HANDLE_VALUE,
            null_mut(),
            0,
            0,
        ))
        .unwrap();
        let bound = CreateIoCompletionPort(handle.as_raw_handle(), port.as_raw_handle(), 1, 0);
        assert!(!bound.is_null(), "{}", io::Error::last_os_error());
    }
}
