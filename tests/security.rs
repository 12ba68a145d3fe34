//! What docs/security.md promises and no other test shows: the directory of plain names, and processes of low integrity.

mod common;

#[cfg(unix)]
mod unix {
    use std::fs::{self, Permissions};
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::process::Command;

    use super::common::{name, role, said, watchdog};
    use npipe::{PipeListener, PipeStream};

    /// A directory of this test's own, which has to be empty at the end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(mode: u32) -> Directory {
            let path = std::env::temp_dir().join(name("t"));
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            Directory(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let removed = fs::remove_dir(&self.0);
            assert!(std::thread::panicking() || removed.is_ok(), "{removed:?}");
        }
    }

    /// Runs this test once more, in a process that has this directory for its `TMPDIR` and `role` to play.
    fn under(directory: &Directory, role: &str) {
        let test = std::thread::current().name().unwrap().to_owned();
        let done = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &test, "--nocapture"])
            .env("NPIPE_TEST_ROLE", role)
            .env("TMPDIR", &directory.0)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    #[test]
    fn a_plain_name_is_refused_where_tmpdir_is_a_directory_of_everybodys() {
        let _watchdog = watchdog(60);
        match role().as_deref() {
            Some("refused") => {
                let error = PipeListener::bind("x").unwrap_err();
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
                assert!(said(&error).contains("allow_shared_directory"), "{error}");
            }
            Some(_) => drop(PipeListener::bind("x").unwrap()),
            None => {
                under(&Directory::new(0o777), "refused");
                under(&Directory::new(0o1777), "sticky");
                under(&Directory::new(0o700), "ours");
            }
        }
    }

    #[test]
    fn two_programs_meet_by_a_path_and_not_by_a_name_where_their_tmpdirs_differ() {
        let _watchdog = watchdog(60);
        if let Some(role) = role() {
            let (name, path) = role.split_once(' ').unwrap();
            let error = PipeStream::connect(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            PipeStream::connect(path).unwrap();
            return;
        }
        // Short, since macOS has a long TMPDIR, and short socket addresses.
        let name = name("");
        let name = &name[name.len() - 10..];
        let listener = PipeListener::bind(name).unwrap();
        let address = listener.local_addr();
        under(&Directory::new(0o700), &format!("{name} {address}"));
    }
}

#[cfg(windows)]
mod windows {
    use std::io::{self, ErrorKind};
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
    use std::ptr::null_mut;

    use super::common::{name, pair_on, watchdog};
    use npipe::{ListenOptions, PipeStream, Security};
    use windows_sys::Win32::Security::{
        CreateWellKnownSid, DuplicateTokenEx, ImpersonateLoggedOnUser, RevertToSelf,
        SID_AND_ATTRIBUTES, SecurityImpersonation, SetTokenInformation, TOKEN_ALL_ACCESS,
        TOKEN_MANDATORY_LABEL, TokenImpersonation, TokenIntegrityLevel, WinLowLabelSid,
    };
    use windows_sys::Win32::System::SystemServices::SE_GROUP_INTEGRITY;
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

    fn done(result: i32) {
        assert_ne!(result, 0, "{}", io::Error::last_os_error());
    }

    /// `work` as this user in a process of low integrity, such as a browser's sandbox.
    fn at_low_integrity<T>(work: impl FnOnce() -> T) -> T {
        let mut label = [0u32; 17];
        let mut length = size_of_val(&label) as u32;
        let (mut token, mut low) = (null_mut(), null_mut());
        // SAFETY: locals of the right types and sizes; the handles are new ones, and nobody else's.
        unsafe {
            done(CreateWellKnownSid(
                WinLowLabelSid,
                null_mut(),
                label.as_mut_ptr().cast(),
                &mut length,
            ));
            done(OpenProcessToken(
                GetCurrentProcess(),
                TOKEN_ALL_ACCESS,
                &mut token,
            ));
            let token = OwnedHandle::from_raw_handle(token);
            done(DuplicateTokenEx(
                token.as_raw_handle(),
                TOKEN_ALL_ACCESS,
                null_mut(),
                SecurityImpersonation,
                TokenImpersonation,
                &mut low,
            ));
            let low = OwnedHandle::from_raw_handle(low);
            let label = TOKEN_MANDATORY_LABEL {
                Label: SID_AND_ATTRIBUTES {
                    Sid: label.as_mut_ptr().cast(),
                    Attributes: SE_GROUP_INTEGRITY as u32,
                },
            };
            done(SetTokenInformation(
                low.as_raw_handle(),
                TokenIntegrityLevel,
                (&raw const label).cast(),
                size_of_val(&label) as u32,
            ));
            done(ImpersonateLoggedOnUser(low.as_raw_handle()));
        }
        let result = work();
        // SAFETY: it is this thread's own token that goes.
        unsafe { done(RevertToSelf()) };
        result
    }

    // What has no label of its own is of medium integrity, and nothing lower writes to it:
    // https://learn.microsoft.com/windows/win32/secauthz/mandatory-integrity-control
    #[test]
    #[ignore = "real Windows only: Wine knows no integrity levels"]
    fn real_windows_a_process_of_low_integrity_is_refused_unless_a_label_lets_it_in() {
        let _watchdog = watchdog(60);
        for security in [Security::OwnerOnly, Security::Everyone] {
            let listener = ListenOptions::new()
                .security(security)
                .bind(name("low"))
                .unwrap();
            let path = listener.local_addr().os_path();
            let error = at_low_integrity(|| PipeStream::connect(path)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            pair_on(&listener);
        }
        let labelled = "D:P(A;;GA;;;WD)S:(ML;;NW;;;LW)";
        let listener = ListenOptions::new()
            .security(Security::Sddl(labelled.into()))
            .bind(name("low"))
            .unwrap();
        let path = listener.local_addr().os_path();
        at_low_integrity(|| PipeStream::connect(path)).unwrap();
    }
}
