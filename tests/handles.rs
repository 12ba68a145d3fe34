//! Windows: handles that come in and go out, and what else happens at the ports and in the pools of a process.

#![cfg(windows)]

mod common;

use std::ffi::c_void;
use std::io::{ErrorKind, Read, Write};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, IntoRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{name, pair, pair_on, timed, watchdog};
use npipe::{ListenOptions, PipeError, PipeListener, PipeStream, Reason};
use windows_sys::Win32::Foundation::{
    GENERIC_READ, GENERIC_WRITE, GetLastError, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, ReadFile,
};
use windows_sys::Win32::System::IO::{GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{PIPE_NOWAIT, PIPE_READMODE_BYTE, SetNamedPipeHandleState};
use windows_sys::Win32::System::Threading::{PTP_CALLBACK_INSTANCE, TrySubmitThreadpoolCallback};

/// A client's end as another program opens it.
fn open(listener: &PipeListener, flags: u32) -> OwnedHandle {
    let path: Vec<u16> = listener
        .local_addr()
        .os_path()
        .as_os_str()
        .encode_wide()
        .chain([0])
        .collect();
    // SAFETY: a path that ends with NUL; the handle is new.
    unsafe {
        let handle = CreateFileW(
            path.as_ptr(),
            GENERIC_READ | GENERIC_WRITE,
            0,
            null(),
            OPEN_EXISTING,
            flags,
            null_mut(),
        );
        assert_ne!(handle, INVALID_HANDLE_VALUE);
        OwnedHandle::from_raw_handle(handle)
    }
}

fn refused(handle: OwnedHandle, says: &str) {
    let error = PipeStream::try_from(handle).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let inside = PipeError::of(&error).unwrap();
    assert_eq!(inside.reason(), Reason::WrongHandle);
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn handles_on_which_nothing_that_is_promised_holds_are_refused() {
    let _watchdog = watchdog(60);
    let listener = PipeListener::bind(name("refused")).unwrap();
    refused(open(&listener, 0), "FILE_FLAG_OVERLAPPED");
    let handle = open(&listener, FILE_FLAG_OVERLAPPED);
    let mode = PIPE_READMODE_BYTE | PIPE_NOWAIT;
    // SAFETY: an open handle, and a local that is read.
    let set = unsafe { SetNamedPipeHandleState(handle.as_raw_handle(), &mode, null(), null()) };
    assert_ne!(set, 0);
    refused(handle, "PIPE_NOWAIT");
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    refused(file.into(), "no end of a named pipe");
    // And one that is good.
    let mut client = PipeStream::try_from(open(&listener, FILE_FLAG_OVERLAPPED)).unwrap();
    client.write_all(b"hello").unwrap();
    for stream in listener.incoming() {
        let mut word = [0; 5];
        // Those that were refused had connected.
        if stream.unwrap().read(&mut word).unwrap() > 0 {
            assert_eq!(&word, b"hello");
            return;
        }
    }
}

#[test]
fn a_half_close_that_is_under_way_is_not_lost_with_the_handle() {
    let _watchdog = watchdog(60);
    let listener = ListenOptions::new()
        .message_mode(true)
        .bind(name("half"))
        .unwrap();
    let (server, client) = pair_on(&listener);
    client.send(b"last words").unwrap();
    client.close_write().unwrap();
    let error = OwnedHandle::try_from(client).unwrap_err();
    assert!(error.to_string().contains("half close"), "{error}");
    let client = error.into_stream();
    let mut message = Vec::new();
    assert_eq!(server.recv(&mut message).unwrap(), Some(10));
    assert_eq!(server.recv(&mut message).unwrap(), Some(0));
    // It is over by now, or will be in a moment.
    let mut client = client;
    loop {
        client = match OwnedHandle::try_from(client) {
            Ok(_) => return,
            Err(error) => error.into_stream(),
        };
        std::thread::yield_now();
    }
}

/// A read as an ordinary program makes it on its handle: its packet goes to the port, if the handle is bound to one.
struct ForeignRead {
    overlapped: Box<OVERLAPPED>,
    byte: Box<[u8; 1]>,
}

impl ForeignRead {
    fn start(handle: &OwnedHandle) -> ForeignRead {
        let mut read = ForeignRead {
            overlapped: Box::default(),
            byte: Box::new([0]),
        };
        // SAFETY: both boxes stay until `finish`.
        unsafe {
            ReadFile(
                handle.as_raw_handle(),
                read.byte.as_mut_ptr(),
                1,
                null_mut(),
                &mut *read.overlapped,
            );
        }
        read
    }

    fn finish(self, handle: &OwnedHandle) {
        let mut length = 0;
        // SAFETY: the operation's own handle and OVERLAPPED; it waits until the system has let go.
        let done = unsafe {
            GetOverlappedResult(handle.as_raw_handle(), &*self.overlapped, &mut length, 1)
        };
        // SAFETY: reads a number of this thread's.
        assert_ne!(done, 0, "{}", unsafe { GetLastError() });
        assert_eq!((length, self.byte[0]), (1, b'x'));
    }
}

#[test]
fn packets_of_a_handle_that_was_a_stream_once_are_no_clients() {
    let _watchdog = watchdog(120);
    for _ in 0..20 {
        let listener = ListenOptions::new()
            .max_instances(3)
            .bind(name("stale"))
            .unwrap();
        let (server, mut client) = pair_on(&listener);
        let (other, _other_client) = pair_on(&listener);
        let handle = OwnedHandle::try_from(server).unwrap();
        // Many OVERLAPPEDs that are freed while their packets are still in the port,
        let reads: Vec<_> = (0..16).map(|_| ForeignRead::start(&handle)).collect();
        client.write_all(&[b'x'; 16]).unwrap();
        for read in reads {
            read.finish(&handle);
        }
        // and an instance that is put up now, whose own OVERLAPPED may well be where one of them was.
        drop(other);
        listener
            .set_deadline(Some(Instant::now() + Duration::from_millis(50)))
            .unwrap();
        let error = listener.accept().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        listener.set_deadline(None).unwrap();
        pair_on(&listener);
    }
}

#[test]
fn a_raw_handle_goes_out_and_comes_in() {
    let (_listener, mut server, client) = pair("raw");
    let raw: HANDLE = client.into_raw_handle();
    // SAFETY: it was just given away.
    let client = unsafe { OwnedHandle::from_raw_handle(raw) };
    PipeStream::try_from(client)
        .unwrap()
        .write_all(b"x")
        .unwrap();
    server.read_exact(&mut [0]).unwrap();
}

/// How long it takes until an unrelated work item of the process's thread pool runs.
fn pool_answers_within(limit: Duration) {
    unsafe extern "system" fn run(_: PTP_CALLBACK_INSTANCE, context: *mut c_void) {
        // SAFETY: the box that was given up below, once.
        let done: Box<mpsc::Sender<()>> = unsafe { Box::from_raw(context.cast()) };
        let _ = done.send(());
    }

    let (done, ran) = mpsc::channel::<()>();
    let context = Box::into_raw(Box::new(done)).cast();
    // SAFETY: the callback takes the box over.
    let submitted = unsafe { TrySubmitThreadpoolCallback(Some(run), context, null()) };
    assert_ne!(submitted, 0);
    ran.recv_timeout(limit).expect("the pool is full");
}

#[test]
fn half_closes_to_peers_that_do_not_read_hold_nobody_up() {
    const MANY: usize = 520;
    let _watchdog = watchdog(240);
    let listener = ListenOptions::new()
        .message_mode(true)
        .backlog(8)
        .bind(name("pool"))
        .unwrap();
    let pairs: Vec<_> = (0..MANY)
        .map(|_| {
            let (server, client) = pair_on(&listener);
            client.send(b"unread").unwrap();
            client.close_write().unwrap();
            (server, client)
        })
        .collect();
    pool_answers_within(Duration::from_secs(5));
    // A deadline holds, within 100 ms. (That the machine has no time at the moment is no fault of the library's: it tries again.)
    let (deaf, client) = pair_on(&listener);
    client.send(b"unread too").unwrap();
    let mut late = Vec::new();
    while late
        .last()
        .is_none_or(|&late| late >= Duration::from_millis(100))
    {
        assert!(late.len() < 30, "too late: {late:?}");
        let until = Instant::now() + Duration::from_millis(100);
        client.set_write_deadline(Some(until)).unwrap();
        let error = client.wait_drained().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        late.push(until.elapsed());
    }
    drop((deaf, client));
    // A peer that reads is seen to.
    let (server, client) = pair_on(&listener);
    let (_, took) = timed(|| {
        std::thread::scope(|scope| {
            client.send(b"").unwrap(); // which is not counted, so that it takes a flush
            client.send(b"read").unwrap();
            scope.spawn(|| {
                let mut message = Vec::new();
                server.recv(&mut message).unwrap();
                server.recv(&mut message).unwrap();
            });
            client.wait_drained().unwrap();
        });
    });
    assert!(took < Duration::from_secs(10), "{took:?}");
    // And one of the many, once it does read.
    let (late, _) = &pairs[MANY - 1];
    let mut message = Vec::new();
    assert_eq!(late.recv(&mut message).unwrap(), Some(6));
    late.set_read_deadline(Some(Instant::now() + Duration::from_secs(30)))
        .unwrap();
    assert_eq!(late.recv(&mut message).unwrap(), Some(0));
    // The clients first: each of them has its half close to take back.
    let (servers, clients): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let drops = clients.into_iter().map(|client| timed(|| drop(client)).1);
    let mut drops: Vec<_> = drops.collect();
    drops.sort();
    // Those of half closes that had begun are sixteen; one or two may have met a machine without time.
    let longest = drops[MANY - 5];
    assert!(longest < Duration::from_millis(500), "drops took {drops:?}");
    drop(servers);
    // And the name is free, whatever was still on its way out.
    let name = listener.local_addr().os_path().to_owned();
    drop((server, client, listener));
    PipeListener::bind(name).unwrap();
}

#[test]
fn one_write_takes_a_mebibyte_at_the_most() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = pair("large");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while server.read(&mut buffer).unwrap() > 0 {}
        });
        assert_eq!(client.write(&vec![7; 3 << 20]).unwrap(), 1 << 20);
        drop(client);
    });
}
