//! The documentation as docs.rs builds it: labels say which system or feature an item needs, and what Windows alone has is
//! shown everywhere.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::place::Place;

const FLAGS: &str = "-D warnings --cfg docsrs";

/// What Windows alone has, and the pages that are to show it.
const WINDOWS_ALONE: [(&str, &str); 3] = [
    ("struct.PipeStream.html", "method.impersonate_client"),
    ("tokio/struct.PipeStream.html", "method.impersonate_client"),
    ("struct.IntoHandleError.html", "method.into_stream"),
];

const LABEL: &str = "Available on <strong>Windows</strong> only";

/// Labels are a matter of nightly compilers. Where this is not one, rustdoc alone is told to be: whatever else is compiled
/// stays as it is, and is not compiled anew.
pub fn labelled(place: &Place, command: &mut Command, nightly: bool) -> Result<()> {
    command.env("RUSTDOCFLAGS", FLAGS);
    if nightly {
        return Ok(());
    }
    let wrapper = place.target.join(if cfg!(windows) {
        "rustdoc-nightly.cmd"
    } else {
        "rustdoc-nightly"
    });
    fs::create_dir_all(&place.target)?;
    let script = if cfg!(windows) {
        "@set RUSTC_BOOTSTRAP=1\r\n@rustdoc %*\r\n"
    } else {
        "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n"
    };
    fs::write(&wrapper, script)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    }
    command.env("RUSTDOC", wrapper);
    Ok(())
}

/// Looks at what was built into `doc`.
pub fn show_what_windows_has(doc: &Path) -> Result<()> {
    for (page, item) in WINDOWS_ALONE {
        let path = doc.join("npipe").join(page);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let shown = text.contains(&format!("id=\"{item}\""));
        ensure!(shown, "{page} does not show {item}");
        ensure!(text.contains(LABEL), "{page} does not say: Windows only");
    }
    Ok(())
}
