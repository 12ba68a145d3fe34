//! A thousand connections leave nothing behind. Alone in its process, so that all that is counted is its own.

mod common;

use std::io::{Read, Write};
use std::thread;

use common::{name, watchdog};
use npipe::{PipeListener, PipeStream};

/// How many descriptors or handles, and how many threads, this process has.
#[cfg(target_os = "linux")]
fn held() -> (usize, usize) {
    let count = |what: &str| std::fs::read_dir(what).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

#[cfg(windows)]
fn held() -> (usize, usize) {
    use windows_sys::Win32::Foundation::CloseHandle;
    use windows_sys::Win32::System::Diagnostics::ToolHelp::{
        CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
    };
    use windows_sys::Win32::System::Threading::{
        GetCurrentProcess, GetCurrentProcessId, GetProcessHandleCount,
    };
    let mut handles = 0;
    let mut threads = 0;
    // SAFETY: locals of the right types, and a snapshot that is closed once.
    unsafe {
        assert!(GetProcessHandleCount(GetCurrentProcess(), &mut handles) != 0);
        let snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
        let mut entry = THREADENTRY32 {
            dwSize: size_of::<THREADENTRY32>() as u32,
            ..Default::default()
        };
        let mut more = Thread32First(snapshot, &mut entry);
        while more != 0 {
            threads += usize::from(entry.th32OwnerProcessID == GetCurrentProcessId());
            more = Thread32Next(snapshot, &mut entry);
        }
        CloseHandle(snapshot);
    }
    (handles as usize, threads)
}

/// Elsewhere there is no portable count.
#[cfg(not(any(target_os = "linux", windows)))]
fn held() -> (usize, usize) {
    (0, 0)
}

fn cycle(listener: &PipeListener) {
    let mut client = PipeStream::connect(listener.local_addr().os_path()).unwrap();
    let mut server = listener.accept().unwrap();
    let mut word = [0; 5];
    client.write_all(b"hello").unwrap();
    server.read_exact(&mut word).unwrap();
    server.write_all(&word).unwrap();
    client.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"hello");
}

#[test]
fn a_thousand_cycles_leave_no_handle_thread_or_file_behind() {
    let _watchdog = watchdog(120);
    let name = name("leaks");
    // What is made once and kept, by the system or the library, is made now.
    let listener = PipeListener::bind(&name).unwrap();
    for _ in 0..50 {
        cycle(&listener);
    }
    let before = held();
    for _ in 0..1000 {
        cycle(&listener);
    }
    assert_eq!(held(), before, "handles and threads, with one listener");
    let path = listener.local_addr().os_path().to_owned();
    drop(listener);
    for _ in 0..100 {
        let listener = PipeListener::bind(&name).unwrap();
        thread::scope(|scope| {
            let accepting = scope.spawn(|| listener.accept());
            listener.close();
            // It may have come too late to see the close in its accept.
            accepting.join().unwrap().unwrap_err();
        });
    }
    let after = held();
    assert!(
        after.0 <= before.0 && after.1 <= before.1,
        "{before:?} became {after:?}"
    );
    #[cfg(unix)]
    assert!(!path.exists());
    drop(path);
}
