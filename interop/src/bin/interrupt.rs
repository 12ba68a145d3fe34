//! Presses Ctrl-C in the console of another process: interrupt PID. Windows only; elsewhere `kill -INT` does it.
//!
//! A process sends Ctrl-C to those of its own console alone, so a test cannot: it would have to leave its own.

#[cfg(windows)]
fn main() -> std::io::Result<()> {
    use std::io;
    use windows_sys::Win32::System::Console::{
        AttachConsole, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent, SetConsoleCtrlHandler,
    };

    let process = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let process = process.ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: it takes nothing. That there may be no console to leave is no failure.
    unsafe { FreeConsole() };
    // SAFETY: a number, which the system looks up.
    let attached = unsafe { AttachConsole(process) };
    if attached == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: no handler is given: Ctrl-C is ignored here, where it arrives too.
    let ignored = unsafe { SetConsoleCtrlHandler(None, 1) };
    if ignored == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: two numbers; group 0 is everybody in this console.
    let sent = unsafe { GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) };
    if sent == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(not(windows))]
fn main() {
    eprintln!("it is for Windows: use `kill -INT`");
    std::process::exit(2);
}
