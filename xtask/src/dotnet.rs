//! A .NET with the C# programs of `interop/csharp` compiled for it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A .NET that runs a program by `COMMAND PROGRAM.dll ARGUMENTS`.
#[derive(Clone, Debug)]
pub struct Dotnet {
    /// Such as ".NET 8.0.4".
    pub name: String,
    pub command: PathBuf,
    /// The directory with Server.dll, Client.dll, Peer.dll and the others.
    pub programs: PathBuf,
}

impl Dotnet {
    /// `Server`, `Client` or `Peer`, to which the caller adds its arguments.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(&self.command);
        command.arg(self.programs.join(format!("{name}.dll")));
        settings(&mut command);
        command
    }

    /// Tells the tests of `interop` which .NET to use: see `interop/build.rs` for the variables. `path` is how they
    /// see a path of this machine.
    pub fn tell_tests(found: &[Dotnet], command: &mut Command, path: impl Fn(&Path) -> String) {
        settings(command);
        let Some((first, others)) = found.split_first() else {
            return;
        };
        command
            .env("NPIPE_DOTNET", path(&first.command))
            .env("NPIPE_DOTNET_PROGRAMS", path(&first.programs));
        let others: Vec<String> = others.iter().map(|other| path(&other.command)).collect();
        command.env("NPIPE_DOTNET_OTHERS", others.join("|"));
    }
}

/// The runtimes come without the tables of all languages of the world, and without their `libicu`.
pub fn settings(command: &mut Command) {
    command
        .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
        .env("DOTNET_NOLOGO", "1")
        .env("DOTNET_CLI_TELEMETRY_OPTOUT", "1");
}
