//! The scripts of `docs/recipes.md`, in the README's conversation, with ours and with each other.

#![cfg(windows)]

use std::fs;
use std::path::{Path, PathBuf};

use npipe_interop::{Peer, name, pairings, watchdog};

const GUIDE: &str = include_str!("../../docs/recipes.md");

/// The scripts as files, which go when this does.
#[derive(Debug)]
struct Scripts {
    dir: PathBuf,
}

impl Scripts {
    fn unpack() -> Scripts {
        let dir = std::env::temp_dir().join(name("scripts"));
        fs::create_dir(&dir).unwrap();
        let scripts = Scripts { dir };
        for program in ["server", "client"] {
            let file = format!("{program}.ps1");
            let begin = format!("```powershell\n# {file}\n");
            let guide = GUIDE.replace("\r\n", "\n");
            let script = guide.split(&begin).nth(1).expect("the guide shows it");
            let script = script.split("```").next().unwrap_or_default();
            fs::write(scripts.dir.join(file), script).unwrap();
        }
        scripts
    }

    /// With the PowerShell that every Windows has.
    fn start(&self, program: &str, pipe: &str) -> Peer {
        let script = self.dir.join(format!("{program}.ps1"));
        let options = [
            "-NoProfile",
            "-NonInteractive",
            "-ExecutionPolicy",
            "Bypass",
            "-File",
        ];
        let mut peer = Peer::run(
            "powershell.exe",
            &[&options[..], &[path(&script), pipe]].concat(),
        );
        // Some versions wait for the end of a redirected input before they end.
        peer.end_input();
        peer
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("it is Unicode")
}

#[test]
#[ignore = "real Windows only: Wine has no PowerShell"]
fn real_windows_the_scripts_of_the_guide() {
    let _watchdog = watchdog();
    let scripts = Scripts::unpack();
    let rust = |program: &str, pipe: &str| match program {
        "server" => Peer::run(env!("CARGO_BIN_EXE_rust-server"), &[pipe]),
        _ => Peer::run(env!("CARGO_BIN_EXE_rust-client"), &[pipe]),
    };
    let powershell = |program: &str, pipe: &str| scripts.start(program, pipe);
    pairings(&rust, "PowerShell", &powershell);
}
