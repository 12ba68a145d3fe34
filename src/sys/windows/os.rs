//! The system calls of the Windows half: numbers become types and errors, and nothing is decided.

use std::ffi::{OsStr, OsString, c_void};
use std::io;
use std::marker::PhantomData;
use std::mem::{offset_of, size_of};
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::task::Poll;
use std::time::{Duration, Instant};

use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::*;
use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Security::Authorization::*;
use windows_sys::Win32::Security::*;
use windows_sys::Win32::Storage::FileSystem::*;
use windows_sys::Win32::System::IO::*;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Pipes::*;
use windows_sys::Win32::System::Threading::*;

use crate::stream::{Directions, Part};
use crate::{Peek, PipeInfo, PipeMode};

// What windows-sys does not have (ntifs.h).
#[link(name = "ntdll", kind = "raw-dylib")]
unsafe extern "system" {
    fn NtCreateNamedPipeFile(
        handle: *mut HANDLE,
        access: u32,
        attributes: *const OBJECT_ATTRIBUTES,
        status: *mut IO_STATUS_BLOCK,
        share: u32,
        disposition: u32,
        options: u32,
        pipe_type: u32,
        read_mode: u32,
        completion_mode: u32,
        instances: u32,
        inbound_quota: u32,
        outbound_quota: u32,
        timeout: *const i64,
    ) -> NTSTATUS;
}

/// Counts the system calls of this thread for the tests, which hold the path of a read and a write short.
macro_rules! count {
    () => {
        #[cfg(test)]
        calls::COUNT.set(calls::COUNT.get() + 1);
    };
}

#[cfg(test)]
#[allow(clippy::missing_const_for_thread_local)] // it is const; clippy 1.96 does not see it here
pub(super) mod calls {
    use std::cell::Cell;

    thread_local! {
        pub(in super::super) static COUNT: Cell<usize> = const { Cell::new(0) };
    }
}

fn last<T>() -> io::Result<T> {
    Err(io::Error::last_os_error())
}

fn check(done: i32) -> io::Result<()> {
    if done == 0 { last() } else { Ok(()) }
}

fn from_status(status: NTSTATUS) -> io::Error {
    // SAFETY: a table look-up.
    let code = unsafe { RtlNtStatusToDosError(status) };
    io::Error::from_raw_os_error(code as i32)
}

pub(super) fn code(error: &io::Error) -> u32 {
    error.raw_os_error().unwrap_or(0) as u32
}

/// Takes a handle that a system call has just made; null and INVALID_HANDLE_VALUE are its failures.
///
/// # Safety
///
/// Otherwise it is open, and nobody else's.
unsafe fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return last();
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

pub(super) fn wide(text: impl AsRef<OsStr>) -> Vec<u16> {
    text.as_ref().encode_wide().chain([0]).collect()
}

/// Milliseconds until a moment, rounded up: a wait that ends early would be tried again at once.
fn millis(until: Option<Instant>) -> u32 {
    let Some(until) = until else {
        return INFINITE;
    };
    let left = until.saturating_duration_since(Instant::now());
    let millis = left.as_nanos().div_ceil(1_000_000);
    // A longer wait than that is taken up again by whoever sees that it is not over.
    u32::try_from(millis).unwrap_or(INFINITE).min(INFINITE - 1)
}

/// An event object.
#[derive(Debug)]
pub(super) struct Event(OwnedHandle);

impl Event {
    pub(super) fn try_clone(&self) -> io::Result<Event> {
        self.0.try_clone().map(Event)
    }

    /// One that is reset by the wait that sees it.
    pub(super) fn new() -> io::Result<Event> {
        Event::with(false)
    }

    /// One that stays set.
    pub(super) fn sticky() -> io::Result<Event> {
        Event::with(true)
    }

    fn with(manual: bool) -> io::Result<Event> {
        // SAFETY: no pointers are given, and the result is a new handle or null.
        unsafe { owned(CreateEventW(null(), manual.into(), 0, null())) }.map(Event)
    }

    pub(super) fn set(&self) {
        count!();
        // SAFETY: an open event handle. It cannot fail for one.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    /// Waits until it is set (true), or until `until`.
    pub(super) fn wait(&self, until: Option<Instant>) -> bool {
        loop {
            count!();
            // SAFETY: an open event handle.
            let waited = unsafe { WaitForSingleObject(self.0.as_raw_handle(), millis(until)) };
            if waited == WAIT_OBJECT_0 {
                return true;
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
        }
    }
}

/// Waits for one of two events (true), or until `until`. With none of them it is a plain sleep.
pub(super) fn wait_either(a: Option<&Event>, b: Option<&Event>, until: Option<Instant>) -> bool {
    let mut handles = [null_mut(); 2];
    let mut count = 0;
    for event in [a, b].into_iter().flatten() {
        handles[count] = event.0.as_raw_handle();
        count += 1;
    }
    if count == 0 {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        std::thread::sleep(left.unwrap_or(Duration::MAX));
        return false;
    }
    loop {
        // SAFETY: `count` open event handles.
        let waited =
            unsafe { WaitForMultipleObjects(count as u32, handles.as_ptr(), 0, millis(until)) };
        if (WAIT_OBJECT_0..WAIT_OBJECT_0 + count as u32).contains(&waited) {
            return true;
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return false;
        }
    }
}

/// What the system fills in for an operation on its way.
#[repr(transparent)]
pub(super) struct Overlapped(OVERLAPPED);

impl std::fmt::Debug for Overlapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Overlapped")
    }
}

impl Default for Overlapped {
    /// One whose completion goes to the handle's port.
    fn default() -> Overlapped {
        Overlapped(OVERLAPPED::default())
    }
}

impl Overlapped {
    /// One whose completion sets `event`, and goes to no port (GetQueuedCompletionStatus: the low bit of `hEvent`).
    pub(super) fn with_event(event: &Event) -> Overlapped {
        Overlapped(OVERLAPPED {
            hEvent: (event.0.as_raw_handle() as usize | 1) as HANDLE,
            ..OVERLAPPED::default()
        })
    }
}

/// Fills in an operation that needs no system call, with its result.
///
/// # Safety
///
/// `overlapped` is initialised, and of no operation that is pending.
pub(super) unsafe fn finish(overlapped: *mut Overlapped, part: Part) -> Started {
    let status = match part.complete {
        true => STATUS_SUCCESS,
        false => STATUS_BUFFER_OVERFLOW, // ERROR_MORE_DATA, once it is asked for
    };
    // SAFETY: the caller's promise.
    unsafe {
        (*overlapped).0.Internal = status as usize;
        (*overlapped).0.InternalHigh = part.len;
    }
    Started::Finished
}

/// How a system call began an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Started {
    /// It is over; `progress` has the result.
    Finished,
    Pending,
}

fn started(done: i32) -> io::Result<Started> {
    if done != 0 {
        return Ok(Started::Finished);
    }
    // SAFETY: reads a number of this thread's.
    match unsafe { GetLastError() } {
        ERROR_IO_PENDING => Ok(Started::Pending),
        // A part of a message: a success that has its count in the OVERLAPPED, not in the call's own count.
        ERROR_MORE_DATA => Ok(Started::Finished),
        code => Err(io::Error::from_raw_os_error(code as i32)),
    }
}

/// `ReadFile`.
///
/// # Safety
///
/// `overlapped` is initialised and nobody else's; it and `buffer` stay where they are until `progress` is ready.
pub(super) unsafe fn read(
    pipe: &OwnedHandle,
    buffer: *mut u8,
    length: usize,
    overlapped: *mut Overlapped,
) -> io::Result<Started> {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    count!();
    // SAFETY: the caller's promise; the handle is open.
    started(unsafe {
        ReadFile(
            pipe.as_raw_handle(),
            buffer,
            length,
            null_mut(),
            overlapped.cast(),
        )
    })
}

/// `WriteFile`.
///
/// # Safety
///
/// As for [`read`].
pub(super) unsafe fn write(
    pipe: &OwnedHandle,
    bytes: *const u8,
    length: usize,
    overlapped: *mut Overlapped,
) -> io::Result<Started> {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    count!();
    // SAFETY: the caller's promise; the handle is open.
    started(unsafe {
        WriteFile(
            pipe.as_raw_handle(),
            bytes,
            length,
            null_mut(),
            overlapped.cast(),
        )
    })
}

/// How far an operation has come. `InternalHigh` is the count: right in every case, where the others are not (the count
/// of a partial message, and of a cancelled operation that had moved something).
///
/// # Safety
///
/// `overlapped` is that of an operation on `pipe` that was started without an error.
pub(super) unsafe fn progress(
    pipe: &OwnedHandle,
    overlapped: *mut Overlapped,
) -> Poll<io::Result<Part>> {
    let mut unused = 0;
    // SAFETY: the caller's promise. Without waiting this only reads the OVERLAPPED.
    let done =
        unsafe { GetOverlappedResult(pipe.as_raw_handle(), overlapped.cast(), &mut unused, 0) };
    let code = if done != 0 {
        ERROR_SUCCESS
    } else {
        // SAFETY: reads a number of this thread's.
        unsafe { GetLastError() }
    };
    if code == ERROR_IO_INCOMPLETE {
        return Poll::Pending;
    }
    // SAFETY: it is over, so that the system writes here no more.
    let len = unsafe { (*overlapped).0.InternalHigh };
    Poll::Ready(match code {
        ERROR_SUCCESS => Ok(Part {
            len,
            complete: true,
        }),
        ERROR_MORE_DATA => Ok(Part {
            len,
            complete: false,
        }),
        ERROR_OPERATION_ABORTED if len > 0 => Ok(Part {
            len,
            complete: true,
        }),
        code => Err(io::Error::from_raw_os_error(code as i32)),
    })
}

/// `CancelIoEx`: asks for an end. Whether there was one, `progress` tells.
///
/// # Safety
///
/// As for [`progress`].
pub(super) unsafe fn cancel(pipe: &OwnedHandle, overlapped: *mut Overlapped) {
    count!();
    // SAFETY: the caller's promise. An operation that has ended already is no failure worth a word.
    unsafe { CancelIoEx(pipe.as_raw_handle(), overlapped.cast()) };
}

pub(super) fn is_cancelled(error: &io::Error) -> bool {
    code(error) == ERROR_OPERATION_ABORTED
}

/// The errors that mean that the other side has gone.
pub(super) fn is_end(error: &io::Error) -> bool {
    matches!(
        code(error),
        ERROR_BROKEN_PIPE | ERROR_NO_DATA | ERROR_PIPE_NOT_CONNECTED
    )
}

/// The path of a local pipe as the object manager has it, to whom the DOS devices (`\\.\`) are `\??\`.
pub(super) fn nt_path(path: &Path) -> Vec<u16> {
    r"\??\"
        .encode_utf16()
        .chain(path.as_os_str().encode_wide().skip(r"\\.\".len()))
        .collect()
}

/// How an instance of a pipe is made.
#[derive(Debug)]
pub(super) struct Instance {
    /// From [`nt_path`].
    pub(super) path: Vec<u16>,
    pub(super) mode: PipeMode,
    /// What the server does.
    pub(super) directions: Directions,
    pub(super) accept_remote: bool,
    pub(super) input_buffer_size: u32,
    pub(super) output_buffer_size: u32,
    pub(super) security: SecurityDescriptor,
}

impl Instance {
    /// `NtCreateNamedPipeFile`: makes one more instance, the `first` of its name only where nobody has it.
    ///
    /// CreateNamedPipe could do as much, but for Wine: that ignores FILE_FLAG_FIRST_PIPE_INSTANCE, and keeps to
    /// FILE_CREATE (Wine 10).
    pub(super) fn create(&self, first: bool) -> io::Result<OwnedHandle> {
        let bytes = (self.path.len() * 2) as u16;
        let name = UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: self.path.as_ptr().cast_mut(),
        };
        let attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            RootDirectory: null_mut(),
            ObjectName: &name,
            Attributes: OBJ_CASE_INSENSITIVE,
            SecurityDescriptor: self.security.0.cast(),
            SecurityQualityOfService: null(),
        };
        // To look at the pipe, whichever way it goes.
        let mut access = SYNCHRONIZE | FILE_READ_ATTRIBUTES;
        let mut share = 0;
        if self.directions.read {
            access |= GENERIC_READ;
            share |= FILE_SHARE_WRITE;
        }
        if self.directions.write {
            access |= GENERIC_WRITE;
            share |= FILE_SHARE_READ;
        }
        let (mut kind, read_mode) = match self.mode {
            PipeMode::Byte => (FILE_PIPE_BYTE_STREAM_TYPE, FILE_PIPE_BYTE_STREAM_MODE),
            PipeMode::Message => (FILE_PIPE_MESSAGE_TYPE, FILE_PIPE_MESSAGE_MODE),
        };
        // Wine 10 has no remote clients, and takes any bit here for the message type.
        if !self.accept_remote && !is_wine() {
            kind |= FILE_PIPE_REJECT_REMOTE_CLIENTS;
        }
        // What WaitNamedPipe with NMPWAIT_USE_DEFAULT_WAIT waits: CreateNamedPipe's own default, 50 ms in 100 ns.
        let timeout: i64 = -500_000;
        let mut handle = null_mut();
        let mut status = IO_STATUS_BLOCK::default();
        // SAFETY: the pointers are to locals that outlive the call, the name's buffer to `self.path`, the descriptor to
        // `self.security`'s; without a synchronous option the handle is an overlapped one.
        let result = unsafe {
            NtCreateNamedPipeFile(
                &mut handle,
                access,
                &attributes,
                &mut status,
                share,
                if first { FILE_CREATE } else { FILE_OPEN },
                0,
                kind,
                read_mode,
                FILE_PIPE_QUEUE_OPERATION,
                NO_LIMIT,
                self.input_buffer_size,
                self.output_buffer_size,
                &timeout,
            )
        };
        if result < 0 {
            return Err(from_status(result));
        }
        // SAFETY: a new handle that the call has just made.
        unsafe { owned(handle) }
    }
}

/// Whether this is Wine, whose pipes part from Windows's in a few places.
pub(super) fn is_wine() -> bool {
    static WINE: OnceLock<bool> = OnceLock::new();
    *WINE.get_or_init(|| {
        let ntdll = wide("ntdll.dll");
        // SAFETY: a module that every process has, and two strings that end with NUL.
        unsafe {
            let ntdll = GetModuleHandleW(ntdll.as_ptr());
            GetProcAddress(ntdll, c"wine_get_version".as_ptr().cast()).is_some()
        }
    })
}

/// How a client came to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listening {
    /// The instance waits; a packet comes to its port.
    Pending,
    /// A client is there, or was there and has left something to read. No packet comes.
    Connected,
}

/// `ConnectNamedPipe`.
///
/// # Safety
///
/// As for [`read`].
pub(super) unsafe fn listen(
    pipe: &OwnedHandle,
    overlapped: *mut Overlapped,
) -> io::Result<Listening> {
    // SAFETY: the caller's promise.
    if unsafe { ConnectNamedPipe(pipe.as_raw_handle(), overlapped.cast()) } != 0 {
        // An overlapped call "returns zero"; if one ever did not, it would be a success with its packet.
        return Ok(Listening::Pending);
    }
    // SAFETY: reads a number of this thread's.
    match unsafe { GetLastError() } {
        ERROR_IO_PENDING => Ok(Listening::Pending),
        // NO_DATA: it came, wrote, and left. What it wrote is there.
        ERROR_PIPE_CONNECTED | ERROR_NO_DATA => Ok(Listening::Connected),
        code => Err(io::Error::from_raw_os_error(code as i32)),
    }
}

pub(super) fn disconnect(pipe: &OwnedHandle) -> io::Result<()> {
    // SAFETY: an open handle.
    check(unsafe { DisconnectNamedPipe(pipe.as_raw_handle()) })
}

/// A completion port.
#[derive(Debug)]
pub(super) struct Port(OwnedHandle);

/// What came out of a port.
#[derive(Debug)]
pub(super) enum Packet {
    /// The operation of this OVERLAPPED has ended, and so. (The packet tells it in every case. Wine does not fill in the
    /// OVERLAPPED of an operation whose thread has ended.)
    Completion(*mut Overlapped, io::Result<()>),
    /// `Port::wake`.
    Wake,
    /// Nothing until the deadline.
    Nothing,
}

impl Port {
    pub(super) fn new() -> io::Result<Port> {
        // Any number of threads: at a lower one, packets would wait for a thread that has accepted and now computes.
        // SAFETY: makes a new port.
        unsafe {
            owned(CreateIoCompletionPort(
                INVALID_HANDLE_VALUE,
                null_mut(),
                0,
                i32::MAX as u32,
            ))
        }
        .map(Port)
    }

    /// The completions of `handle` come here from now on.
    pub(super) fn add(&self, handle: &OwnedHandle) -> io::Result<()> {
        // SAFETY: two open handles; what is returned is the port's own handle again.
        let port =
            unsafe { CreateIoCompletionPort(handle.as_raw_handle(), self.0.as_raw_handle(), 0, 0) };
        if port.is_null() { last() } else { Ok(()) }
    }

    pub(super) fn wake(&self) {
        // Without memory for a packet there is no way left to tell.
        let _ = self.post(null_mut());
    }

    /// Puts in a packet as the completion of `overlapped` would be. It is only ever compared, never looked into.
    pub(super) fn post(&self, overlapped: *mut Overlapped) -> io::Result<()> {
        // SAFETY: an open port; the pointer is passed through as it is.
        check(unsafe {
            PostQueuedCompletionStatus(self.0.as_raw_handle(), 0, 0, overlapped.cast())
        })
    }

    pub(super) fn get(&self, until: Option<Instant>) -> io::Result<Packet> {
        loop {
            let (mut length, mut key) = (0, 0);
            let mut overlapped: *mut OVERLAPPED = null_mut();
            // SAFETY: an open port, and locals to be written to.
            let got = unsafe {
                GetQueuedCompletionStatus(
                    self.0.as_raw_handle(),
                    &mut length,
                    &mut key,
                    &mut overlapped,
                    millis(until),
                )
            };
            let result = if got != 0 { Ok(()) } else { last() };
            if !overlapped.is_null() {
                // Also where it failed: then the operation has.
                return Ok(Packet::Completion(overlapped.cast(), result));
            }
            let Err(error) = result else {
                return Ok(Packet::Wake);
            };
            if code(&error) != WAIT_TIMEOUT {
                return Err(error);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Packet::Nothing);
            }
        }
    }
}

/// `CreateFile` of a pipe's client end: overlapped, with a quality of service.
pub(super) fn open(path: &[u16], access: u32, quality: u32) -> io::Result<OwnedHandle> {
    // SAFETY: the path ends with NUL.
    unsafe {
        owned(CreateFileW(
            path.as_ptr(),
            access,
            0,
            null(),
            OPEN_EXISTING,
            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | quality,
            null_mut(),
        ))
    }
}

/// Makes reads of a client's end keep the boundaries of messages.
pub(super) fn set_message_read_mode(pipe: &OwnedHandle) -> io::Result<()> {
    let mode = PIPE_READMODE_MESSAGE;
    // SAFETY: an open handle, and a local that is read.
    check(unsafe { SetNamedPipeHandleState(pipe.as_raw_handle(), &mode, null(), null()) })
}

/// What the system knows of an instance, without asking the other side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    pub(super) server: bool,
    /// Both ends are there.
    pub(super) connected: bool,
    pub(super) mode: PipeMode,
    instances: u32,
    max_instances: u32,
    /// From the client to the server, and back.
    quotas: (u32, u32),
    /// The peer has no buffer to write to: each of its writes waits for a read.
    pub(super) unbuffered: bool,
    /// All that was written has been read.
    pub(super) drained: bool,
}

impl Local {
    pub(super) fn info(&self) -> PipeInfo {
        PipeInfo {
            mode: self.mode,
            instances: Some(self.instances),
            max_instances: limit(self.max_instances),
            input_buffer_size: Some(self.quotas.0),
            output_buffer_size: Some(self.quotas.1),
        }
    }
}

/// What NtCreateNamedPipeFile is given for no limit on instances. (CreateNamedPipe's 255 for it means 255 here.)
const NO_LIMIT: u32 = u32::MAX;

/// A limit on instances, if it is one.
pub(super) fn limit(max_instances: u32) -> Option<u32> {
    (max_instances != NO_LIMIT).then_some(max_instances)
}

pub(super) fn local(pipe: &OwnedHandle) -> io::Result<Local> {
    let mut status = IO_STATUS_BLOCK::default();
    let mut info = FILE_PIPE_LOCAL_INFORMATION::default();
    // SAFETY: an open handle, and locals of the sizes that are said.
    let result = unsafe {
        NtQueryInformationFile(
            pipe.as_raw_handle(),
            &mut status,
            (&raw mut info).cast(),
            size_of::<FILE_PIPE_LOCAL_INFORMATION>() as u32,
            FilePipeLocalInformation,
        )
    };
    if result < 0 {
        return Err(from_status(result));
    }
    let server = info.NamedPipeEnd & FILE_PIPE_SERVER_END != 0;
    let quota = if server {
        info.OutboundQuota
    } else {
        info.InboundQuota
    };
    Ok(Local {
        server,
        connected: info.NamedPipeState == FILE_PIPE_CONNECTED_STATE,
        mode: if info.NamedPipeType & FILE_PIPE_MESSAGE_TYPE != 0 {
            PipeMode::Message
        } else {
            PipeMode::Byte
        },
        instances: info.CurrentInstances,
        max_instances: info.MaximumInstances,
        quotas: (info.InboundQuota, info.OutboundQuota),
        unbuffered: (if server {
            info.InboundQuota
        } else {
            info.OutboundQuota
        }) == 0,
        // Of a quota of 0 nothing can be used up.
        drained: quota > 0 && info.WriteQuotaAvailable == quota,
    })
}

/// `GetFullPathName`: a path as the system reads it.
pub(super) fn full_path(path: &str) -> io::Result<String> {
    let given = wide(path);
    let mut full = vec![0u16; given.len() + 16];
    loop {
        // SAFETY: a string that ends with NUL, and a buffer of the length that is said.
        let length = unsafe {
            GetFullPathNameW(
                given.as_ptr(),
                full.len() as u32,
                full.as_mut_ptr(),
                null_mut(),
            )
        } as usize;
        match length {
            0 => return last(),
            fits if fits < full.len() => return Ok(String::from_utf16_lossy(&full[..fits])),
            more => full.resize(more, 0),
        }
    }
}

/// Whether there is a pipe at `path`, found out without opening an instance.
pub(super) fn exists(path: &[u16]) -> bool {
    // SAFETY: a path that ends with NUL. It waits for 1 ms at the most.
    let free = unsafe { WaitNamedPipeW(path.as_ptr(), 1) } != 0;
    free || !matches!(
        code(&io::Error::last_os_error()),
        ERROR_FILE_NOT_FOUND | ERROR_BAD_PATHNAME
    )
}

/// The device that waits for instances: `\\.\pipe\`, or another machine's.
pub(super) fn open_root(root: &str) -> io::Result<OwnedHandle> {
    let root = wide(root);
    // SAFETY: a path that ends with NUL.
    unsafe {
        owned(CreateFileW(
            root.as_ptr(),
            FILE_READ_ATTRIBUTES | SYNCHRONIZE,
            FILE_SHARE_READ | FILE_SHARE_WRITE,
            null(),
            OPEN_EXISTING,
            // It is a directory, which CreateFile opens with FILE_FLAG_BACKUP_SEMANTICS alone.
            FILE_FLAG_OVERLAPPED | FILE_FLAG_BACKUP_SEMANTICS,
            null_mut(),
        ))
    }
}

/// What FSCTL_PIPE_WAIT is given, as a block of memory with the alignment that it needs.
#[derive(Debug)]
pub(super) struct WaitBuffer(Vec<i64>, u32);

impl WaitBuffer {
    /// For an instance of the pipe `name` (without its root), within `timeout`.
    pub(super) fn new(name: &OsStr, timeout: Duration) -> WaitBuffer {
        let name: Vec<u16> = name.encode_wide().collect();
        let head = offset_of!(FILE_PIPE_WAIT_FOR_BUFFER, Name);
        let length = head + name.len() * 2;
        let mut block = vec![
            0i64;
            length
                .div_ceil(8)
                .max(size_of::<FILE_PIPE_WAIT_FOR_BUFFER>().div_ceil(8))
        ];
        let start: *mut FILE_PIPE_WAIT_FOR_BUFFER = block.as_mut_ptr().cast();
        // SAFETY: the block is large enough for the head and the name, and aligned for its i64; zeroes are valid for
        // every field.
        unsafe {
            // Relative, in units of 100 ns.
            (*start).Timeout = -i64::try_from(timeout.as_nanos() / 100).unwrap_or(i64::MAX);
            (*start).TimeoutSpecified = true;
            (*start).NameLength = (name.len() * 2) as u32;
            (&raw mut (*start).Name)
                .cast::<u16>()
                .copy_from_nonoverlapping(name.as_ptr(), name.len());
        }
        WaitBuffer(block, length as u32)
    }
}

/// FSCTL_PIPE_WAIT: ends when an instance is free. By NtFsControlFile, since DeviceIoControl sends this code, whose device is
/// the pipes' own, to where no file system listens. (Wine does not tell the two apart.)
///
/// # Safety
///
/// As for [`read`], `buffer` being what is read.
pub(super) unsafe fn wait_instance(
    root: &OwnedHandle,
    buffer: &WaitBuffer,
    overlapped: *mut Overlapped,
) -> io::Result<Started> {
    // SAFETY: the caller's promise; the block is as long as it says. An OVERLAPPED begins with an IO_STATUS_BLOCK.
    let status = unsafe {
        (*overlapped).0.Internal = STATUS_PENDING as usize;
        NtFsControlFile(
            root.as_raw_handle(),
            (*overlapped).0.hEvent,
            None,
            null(),
            overlapped.cast(),
            FSCTL_PIPE_WAIT,
            buffer.0.as_ptr().cast(),
            buffer.1,
            null_mut(),
            0,
        )
    };
    match status {
        STATUS_PENDING => Ok(Started::Pending),
        failed if failed < 0 => Err(from_status(failed)),
        _ => Ok(Started::Finished),
    }
}

/// A security descriptor that the system made.
#[derive(Debug)]
pub(super) struct SecurityDescriptor(PSECURITY_DESCRIPTOR);

// SAFETY: a block of memory that is nobody else's and that nothing writes to.
unsafe impl Send for SecurityDescriptor {}
// SAFETY: as above.
unsafe impl Sync for SecurityDescriptor {}

impl SecurityDescriptor {
    pub(super) fn parse(sddl: &str) -> io::Result<SecurityDescriptor> {
        let sddl = wide(sddl);
        let mut descriptor = null_mut();
        // SAFETY: a string that ends with NUL, and a local to be written to.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                sddl.as_ptr(),
                SDDL_REVISION_1,
                &mut descriptor,
                null_mut(),
            )
        })?;
        Ok(SecurityDescriptor(descriptor))
    }
}

impl Drop for SecurityDescriptor {
    fn drop(&mut self) {
        // SAFETY: from LocalAlloc, as ConvertStringSecurityDescriptorToSecurityDescriptor says, and freed once.
        unsafe { LocalFree(self.0) };
    }
}

/// An access token, to be asked who it is.
#[derive(Debug)]
pub(super) struct Token(OwnedHandle);

impl Token {
    /// This process's.
    pub(super) fn current() -> io::Result<Token> {
        let mut token = null_mut();
        // SAFETY: the pseudo handle of this process, and a local to be written to.
        check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) })?;
        // SAFETY: a new handle.
        unsafe { owned(token) }.map(Token)
    }

    /// The one that this thread acts with; the process itself asks for it, not whom it acts as.
    pub(super) fn of_thread() -> io::Result<Token> {
        Token::of_thread_for(TOKEN_QUERY)
    }

    fn of_thread_for(access: u32) -> io::Result<Token> {
        let mut token = null_mut();
        // SAFETY: the pseudo handle of this thread, and a local to be written to.
        check(unsafe { OpenThreadToken(GetCurrentThread(), access, 1, &mut token) })?;
        // SAFETY: a new handle.
        unsafe { owned(token) }.map(Token)
    }

    pub(super) fn of_process(pid: u32) -> io::Result<Token> {
        // SAFETY: makes a new handle, or null.
        let process = unsafe { owned(OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid)) }?;
        let mut token = null_mut();
        // SAFETY: an open process, and a local to be written to.
        check(unsafe { OpenProcessToken(process.as_raw_handle(), TOKEN_QUERY, &mut token) })?;
        // SAFETY: a new handle.
        unsafe { owned(token) }.map(Token)
    }

    /// A SID of the token's, as text. `class` is one whose structure begins with a pointer to a SID.
    fn sid(&self, class: TOKEN_INFORMATION_CLASS) -> io::Result<String> {
        // A SID has at most 68 bytes, and lies behind the structure that points to it.
        let mut block = [0u64; 32];
        let mut length = 0;
        // SAFETY: an open token, and a block of the size that is said, aligned for a pointer.
        check(unsafe {
            GetTokenInformation(
                self.0.as_raw_handle(),
                class,
                block.as_mut_ptr().cast(),
                size_of_val(&block) as u32,
                &mut length,
            )
        })?;
        // SAFETY: TOKEN_USER and TOKEN_OWNER, the classes that are asked for here, begin with a pointer to a SID, which
        // lies in the same block.
        unsafe { sid_text(*block.as_ptr().cast::<PSID>()) }
    }
}

/// The SID of the token's user, as text.
pub(super) fn user_sid(token: &Token) -> io::Result<String> {
    token.sid(TokenUser)
}

/// The SID of whom it makes the owner of what it creates, as text.
pub(super) fn owner_sid(token: &Token) -> io::Result<String> {
    token.sid(TokenOwner)
}

/// This thread acting as a pipe's client. On drop it is what it was before.
#[derive(Debug)]
pub(crate) struct Impersonation {
    before: Option<Token>,
    /// Of the thread that it began on.
    _here: PhantomData<*const ()>,
}

impl Impersonation {
    pub(super) fn begin(pipe: &OwnedHandle) -> io::Result<Impersonation> {
        let before = match Token::of_thread_for(TOKEN_IMPERSONATE) {
            Ok(token) => Some(token),
            Err(error) if code(&error) == ERROR_NO_TOKEN => None,
            Err(error) => return Err(error),
        };
        // SAFETY: an open handle.
        check(unsafe { ImpersonateNamedPipeClient(pipe.as_raw_handle()) })?;
        Ok(Impersonation {
            before,
            _here: PhantomData,
        })
    }
}

impl Drop for Impersonation {
    fn drop(&mut self) {
        // SAFETY: no pointers but to an open token. SetThreadToken without a thread is this one's.
        let reverted = unsafe {
            match &self.before {
                Some(token) => SetThreadToken(null(), token.0.as_raw_handle()),
                None => RevertToSelf(),
            }
        };
        if reverted == 0 {
            // RevertToSelf: "your application should shut down": it would go on as somebody else.
            std::process::abort();
        }
    }
}

/// The process at the other end.
pub(super) fn peer_pid(pipe: &OwnedHandle, server: bool) -> io::Result<u32> {
    let mut pid = 0;
    // SAFETY: an open handle, and a local to be written to.
    check(unsafe {
        if server {
            GetNamedPipeClientProcessId(pipe.as_raw_handle(), &mut pid)
        } else {
            GetNamedPipeServerProcessId(pipe.as_raw_handle(), &mut pid)
        }
    })?;
    Ok(pid)
}

/// Whether a server's client is on this machine. Where the system does not tell, it is not.
pub(super) fn is_local(pipe: &OwnedHandle) -> bool {
    let mut name = [0u16; 256];
    // SAFETY: an open handle, and a buffer of the size that is said, in bytes.
    let told = unsafe {
        GetNamedPipeClientComputerNameW(
            pipe.as_raw_handle(),
            name.as_mut_ptr(),
            size_of_val(&name) as u32,
        )
    };
    // ERROR_PIPE_LOCAL. Wine 10 has no remote clients, and does not have the call either.
    told == 0 && code(&io::Error::last_os_error()) == ERROR_PIPE_LOCAL || is_wine()
}

/// The session of the process at the other end.
pub(super) fn peer_session(pipe: &OwnedHandle, server: bool) -> io::Result<u32> {
    let mut session = 0;
    // SAFETY: an open handle, and a local to be written to.
    check(unsafe {
        if server {
            GetNamedPipeClientSessionId(pipe.as_raw_handle(), &mut session)
        } else {
            GetNamedPipeServerSessionId(pipe.as_raw_handle(), &mut session)
        }
    })?;
    Ok(session)
}

/// What `GetSecurityInfo` allocates.
struct Security {
    descriptor: SecurityDescriptor,
    owner: PSID,
}

fn security_info(pipe: &OwnedHandle, parts: u32) -> io::Result<Security> {
    let (mut owner, mut descriptor) = (null_mut(), null_mut());
    // SAFETY: an open handle, and locals to be written to.
    let code = unsafe {
        GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
            parts,
            &mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &mut descriptor,
        )
    };
    if code != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(code as i32));
    }
    Ok(Security {
        descriptor: SecurityDescriptor(descriptor),
        owner,
    })
}

/// The SID of the pipe's owner, as text.
pub(super) fn owner(pipe: &OwnedHandle) -> io::Result<String> {
    let security = security_info(pipe, OWNER_SECURITY_INFORMATION)?;
    if security.owner.is_null() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the system does not tell the pipe's owner",
        ));
    }
    // SAFETY: a SID in the descriptor, which is still there.
    unsafe { sid_text(security.owner) }
}

/// The pipe's security descriptor, in SDDL.
pub(super) fn security(pipe: &OwnedHandle) -> io::Result<String> {
    const PARTS: u32 = OWNER_SECURITY_INFORMATION
        | GROUP_SECURITY_INFORMATION
        | DACL_SECURITY_INFORMATION
        | LABEL_SECURITY_INFORMATION;
    let security = security_info(pipe, PARTS)?;
    let mut text = null_mut();
    // SAFETY: a descriptor, and a local to be written to.
    check(unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            security.descriptor.0,
            SDDL_REVISION_1,
            PARTS,
            &mut text,
            null_mut(),
        )
    })?;
    // SAFETY: the call has made a string.
    Ok(unsafe { take_text(text) })
}

/// A SID in the form of S-1-…, whichever it was given in.
pub(super) fn normal_sid(sid: &str) -> io::Result<String> {
    let sid = Sid::parse(sid)?;
    // SAFETY: a valid SID.
    unsafe { sid_text(sid.0) }
}

/// A SID that the system made.
struct Sid(PSID);

impl Sid {
    fn parse(text: &str) -> io::Result<Sid> {
        let text = wide(text);
        let mut sid = null_mut();
        // SAFETY: a string that ends with NUL, and a local to be written to.
        check(unsafe { ConvertStringSidToSidW(text.as_ptr(), &mut sid) })?;
        Ok(Sid(sid))
    }
}

impl Drop for Sid {
    fn drop(&mut self) {
        // SAFETY: from LocalAlloc, as ConvertStringSidToSid says, and freed once.
        unsafe { LocalFree(self.0) };
    }
}

/// The account of a SID, as `DOMAIN\user`.
pub(super) fn account(sid: &str) -> io::Result<String> {
    let sid = Sid::parse(sid)?;
    // The longest that there are have 256 characters (UNLEN, DNLEN).
    let (mut name, mut domain) = ([0u16; 260], [0u16; 260]);
    let (mut name_length, mut domain_length) = (name.len() as u32, domain.len() as u32);
    let mut kind = 0;
    // SAFETY: a valid SID, and buffers of the lengths that are said.
    check(unsafe {
        LookupAccountSidW(
            null(),
            sid.0,
            name.as_mut_ptr(),
            &mut name_length,
            domain.as_mut_ptr(),
            &mut domain_length,
            &mut kind,
        )
    })?;
    let text = |buffer: &[u16], length: u32| {
        String::from_utf16_lossy(buffer.get(..length as usize).unwrap_or(buffer))
    };
    let name = text(&name, name_length);
    Ok(match text(&domain, domain_length) {
        domain if domain.is_empty() => name,
        domain => format!(r"{domain}\{name}"),
    })
}

/// `PeekNamedPipe`, of counts alone.
pub(super) fn peek(pipe: &OwnedHandle) -> io::Result<Peek> {
    let (mut available, mut message) = (0, 0);
    // SAFETY: an open handle, and locals to be written to.
    check(unsafe {
        PeekNamedPipe(
            pipe.as_raw_handle(),
            null_mut(),
            0,
            null_mut(),
            &mut available,
            &mut message,
        )
    })?;
    Ok(Peek {
        available: available as usize,
        message: message as usize,
    })
}

/// A pipe in the list of all.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) instances: u32,
    pub(super) max_instances: u32,
}

/// `NtQueryDirectoryFile` of the file system that the pipes are: unlike FindFirstFile it tells the limits, and bears names
/// that no file could have.
pub(super) fn list(mut each: impl FnMut(Found)) -> io::Result<()> {
    let root = wide(r"\\.\pipe\");
    // SAFETY: a path that ends with NUL. Without FILE_FLAG_OVERLAPPED the calls below wait for their end.
    let root = unsafe {
        owned(CreateFileW(
            root.as_ptr(),
            GENERIC_READ,
            FILE_SHARE_READ | FILE_SHARE_WRITE,
            null(),
            OPEN_EXISTING,
            FILE_FLAG_BACKUP_SEMANTICS,
            null_mut(),
        ))
    }?;
    let mut block = vec![0u64; 8192];
    let mut restart = true;
    loop {
        let mut status = IO_STATUS_BLOCK::default();
        let size = size_of_val(&block[..]);
        // SAFETY: an open synchronous handle, and a block of the size that is said, aligned for what it gets.
        let result = unsafe {
            NtQueryDirectoryFile(
                root.as_raw_handle(),
                null_mut(),
                None,
                null(),
                &mut status,
                block.as_mut_ptr().cast(),
                size as u32,
                FileDirectoryInformation,
                false,
                null(),
                restart,
            )
        };
        restart = false;
        if result == STATUS_NO_MORE_FILES {
            return Ok(());
        }
        if result < 0 {
            return Err(from_status(result));
        }
        let mut at = 0;
        while at + size_of::<FILE_DIRECTORY_INFORMATION>() <= size {
            // SAFETY: the system has put an entry here, in the block, and says where the next one is.
            let entry: *const FILE_DIRECTORY_INFORMATION =
                unsafe { block.as_ptr().cast::<u8>().add(at) }.cast();
            // SAFETY: as above; the name lies behind the entry, as long as it says.
            at += unsafe {
                let name = std::slice::from_raw_parts(
                    (&raw const (*entry).FileName).cast::<u16>(),
                    (*entry).FileNameLength as usize / 2,
                );
                each(Found {
                    name: String::from_utf16_lossy(name),
                    // The pipe file system has a use of its own for these (as pipelist shows).
                    instances: (*entry).EndOfFile as u32,
                    max_instances: (*entry).AllocationSize as u32,
                });
                match (*entry).NextEntryOffset {
                    0 => break,
                    next => next as usize,
                }
            };
        }
    }
}

/// # Safety
///
/// `sid` is a valid SID.
unsafe fn sid_text(sid: PSID) -> io::Result<String> {
    let mut text = null_mut();
    // SAFETY: the caller's promise, and a local to be written to.
    check(unsafe { ConvertSidToStringSidW(sid, &mut text) })?;
    // SAFETY: the call has made a string.
    Ok(unsafe { take_text(text) })
}

/// Copies a string that the system made, and frees it.
///
/// # Safety
///
/// It ends with NUL, is from LocalAlloc, and nobody else's.
unsafe fn take_text(text: *mut u16) -> String {
    // SAFETY: the caller's promise.
    unsafe {
        let length = (0..).take_while(|&i| *text.add(i) != 0).count();
        let copy = String::from_utf16_lossy(std::slice::from_raw_parts(text, length));
        LocalFree(text.cast());
        copy
    }
}

/// `FlushFileBuffers`: blocks until the other side has read everything or closed. It has no overlapped form; another
/// thread can end it by [`Thread::cancel_io`].
pub(super) fn flush(pipe: &OwnedHandle) -> io::Result<()> {
    // SAFETY: an open handle.
    check(unsafe { FlushFileBuffers(pipe.as_raw_handle()) })
}

/// A thread, as somebody whose blocking calls can be ended.
#[derive(Debug)]
pub(super) struct Thread(OwnedHandle);

impl Thread {
    pub(super) fn current() -> io::Result<Thread> {
        // SAFETY: makes a new handle to the calling thread.
        unsafe { owned(OpenThread(THREAD_TERMINATE, 0, GetCurrentThreadId())) }.map(Thread)
    }

    /// `CancelSynchronousIo`: ends the blocking call that the thread is in, if it is in one.
    pub(super) fn cancel_io(&self) {
        // SAFETY: an open thread handle.
        unsafe { CancelSynchronousIo(self.0.as_raw_handle()) };
    }
}

/// Runs `work` on a thread of the system's own pool.
pub(super) fn run_aside(work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    type Work = Box<dyn FnOnce() + Send>;

    unsafe extern "system" fn run(_: PTP_CALLBACK_INSTANCE, context: *mut c_void) {
        // SAFETY: the box that `run_aside` has given up, once.
        let work: Box<Work> = unsafe { Box::from_raw(context.cast()) };
        work();
    }

    let context = Box::into_raw(Box::new(work));
    // SAFETY: the callback takes over the box that `context` is.
    if unsafe { TrySubmitThreadpoolCallback(Some(run), context.cast(), null()) } != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    // SAFETY: nobody has taken it, and no callback ever will.
    drop(unsafe { Box::from_raw(context) });
    Err(error)
}

/// `FileNameInfo`: where the pipe of a handle is, as `\\.\pipe\NAME`.
pub(super) fn path_of(pipe: &OwnedHandle) -> io::Result<PathBuf> {
    // A pipe's name has at most 256 characters.
    let mut block = [0u32; 256];
    // SAFETY: an open handle, and a block of the size that is said, aligned for a FILE_NAME_INFO.
    check(unsafe {
        GetFileInformationByHandleEx(
            pipe.as_raw_handle(),
            FileNameInfo,
            block.as_mut_ptr().cast(),
            size_of_val(&block) as u32,
        )
    })?;
    let info: *const FILE_NAME_INFO = block.as_ptr().cast();
    // SAFETY: the call has put a length in bytes there and, behind it, as many bytes of the name, all in the block.
    let name = unsafe {
        std::slice::from_raw_parts(
            (&raw const (*info).FileName).cast::<u16>(),
            (*info).FileNameLength as usize / 2,
        )
    };
    let mut path = OsString::from(r"\\.\pipe");
    path.push(OsString::from_wide(name));
    Ok(path.into())
}

/// WaitNamedPipe, for the shortest time that there is: whether an instance of the pipe at `path` is free. It opens none.
pub(super) fn wait_named_pipe(path: &Path) -> io::Result<()> {
    const MILLISECOND: u32 = 1; // 0 would be the server's own choice
    let path = wide(path);
    // SAFETY: a path that ends with NUL.
    check(unsafe { WaitNamedPipeW(path.as_ptr(), MILLISECOND) })
}
