//! Whether this is Windows itself.

use std::sync::OnceLock;

use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};

use super::basics::wide;

/// Whether this is Wine, whose pipes part from Windows's in a few places.
pub(crate) fn is_wine() -> bool {
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
