//! Windows: consoles, in which Ctrl-C is pressed.

use std::os::windows::process::CommandExt;
use std::process::Command;

use windows_sys::Win32::System::Console::SetConsoleCtrlHandler;

/// Gives a program that is about to start a console of its own, without a window.
pub fn of_its_own(command: &mut Command) {
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    command.creation_flags(CREATE_NO_WINDOW);
    // Whoever runs the tests may want Ctrl-C ignored, and that is inherited.
    // SAFETY: no handler is given: it restores what the system does by default, and children inherit that.
    unsafe { SetConsoleCtrlHandler(None, 0) };
}
