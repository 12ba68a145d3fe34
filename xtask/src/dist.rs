//! `cargo xtask dist`: the archive that a release has for a system: the command, its manual, completions, licences.
//!
//! The manual and the completions are what the command itself prints, so whatever is packed is of one version. Where the
//! command is for a processor that this machine does not have, one for this machine is asked.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::place::Place;
use crate::process::{output, run_shown};
use crate::toolchain::cargo;
use crate::ui;

/// A release build on a slow machine, the standard library as source included.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// What stands beside the command as it is.
const TEXTS: [&str; 5] = [
    "README.md",
    "README.ja.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];

/// A shell, and the file that its completions are looked for in.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "npipe.bash"),
    ("elvish", "npipe.elv"),
    ("fish", "npipe.fish"),
    ("powershell", "_npipe.ps1"),
    ("zsh", "_npipe"),
];

/// Builds and packs the command for a target, or for this machine.
pub fn run(place: &Place, target: Option<&str>) -> Result<ExitCode> {
    right_tag(
        &version(place)?,
        env::var("GITHUB_REF_NAME").ok().as_deref(),
    )?;
    let host = host()?;
    let target = target.unwrap_or(&host);
    ui::say(&format!("building npipe for {target}"));
    let program = build(place, target)?;
    let teller = if runs_here(target) {
        program.clone()
    } else {
        ui::say(&format!("building npipe for {host}, to print its manual"));
        build(place, &host)?
    };
    let archive = pack(place, &program, &teller, target, &place.target.join("dist"))?;
    let size = fs::metadata(&archive)?.len() / 1024;
    ui::say(&format!("{}: {size} KiB", archive.display()));
    Ok(ExitCode::SUCCESS)
}

/// Packs the command that a test run has built, unpacks it, and looks whether it is all there and runs.
pub fn try_out(place: &Place) -> Result<()> {
    let program = place
        .target
        .join("debug")
        .join(format!("npipe{}", env::consts::EXE_SUFFIX));
    let dir = place.target.join("dist-tried");
    let host = host()?;
    let archive = pack(place, &program, &program, &host, &dir)?;
    let name = name(place, &host)?;
    fs::remove_dir_all(dir.join(&name))?;
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(&archive).current_dir(&dir);
    done(&mut unpack)?;
    let inside = dir.join(&name);
    let told = output(
        inside.join(program.file_name().unwrap_or_default()),
        &["-V"],
    );
    let told = told.context("the npipe of the archive does not run")?;
    ensure!(
        told.trim() == format!("npipe {}", version(place)?),
        "the npipe of the archive is another: {told}"
    );
    let page = fs::read_to_string(inside.join("man/man1/npipe-relay.1"))?;
    ensure!(
        page.starts_with(".ie") || page.contains(".TH"),
        "no page of a manual"
    );
    fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())
}

/// Makes `DIR/npipe-VERSION-TARGET` and the archive of it, which is returned.
fn pack(place: &Place, program: &Path, teller: &Path, target: &str, dir: &Path) -> Result<PathBuf> {
    let name = name(place, target)?;
    let inside = dir.join(&name);
    if inside.exists() {
        fs::remove_dir_all(&inside)?;
    }
    let (man, completions) = (inside.join("man/man1"), inside.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    let file = program.file_name().context("a program has a name")?;
    fs::copy(program, inside.join(file)).with_context(|| program.display().to_string())?;
    for text in TEXTS {
        fs::copy(place.root.join(text), inside.join(text)).context(text)?;
    }
    let whole = told(teller, &["man"])?;
    for command in commands(&whole) {
        let page = told(teller, &["man", command])?;
        fs::write(man.join(format!("npipe-{command}.1")), page)?;
    }
    fs::write(man.join("npipe.1"), whole)?;
    for (shell, file) in SHELLS {
        fs::write(
            completions.join(file),
            told(teller, &["completions", shell])?,
        )?;
    }
    let archive = dir.join(format!("{name}{}", suffix(target)));
    if archive.exists() {
        fs::remove_file(&archive)?;
    }
    done(compress(&archive, &name).current_dir(dir))?;
    Ok(archive)
}

/// What npipe prints.
fn told(npipe: &Path, words: &[&str]) -> Result<String> {
    output(npipe, words).with_context(|| format!("{} {words:?} failed", npipe.display()))
}

/// The commands that the page of the whole has pages for.
fn commands(page: &str) -> impl Iterator<Item = &str> {
    let named = page
        .lines()
        .filter_map(|line| line.strip_prefix(r"\fBnpipe\-"));
    named.filter_map(|line| line.strip_suffix(r"\fR(1)"))
}

/// What unpacks it everywhere: tar on Unix, and what Windows opens by itself.
fn suffix(target: &str) -> &'static str {
    if target.contains("windows") {
        ".zip"
    } else {
        ".tar.gz"
    }
}

fn compress(archive: &Path, name: &str) -> Command {
    let zip = archive
        .extension()
        .is_some_and(|extension| extension == "zip");
    if zip && cfg!(windows) {
        // Windows's own, and not the one that Git brings, which makes no zip.
        let system = env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
        let mut tar = Command::new(Path::new(&system).join("System32").join("tar.exe"));
        tar.args(["-a", "-c", "-f"]).arg(archive).arg(name);
        return tar;
    }
    if zip {
        let mut python = Command::new("python3");
        python.args(["-m", "zipfile", "-c"]).arg(archive).arg(name);
        return python;
    }
    let mut tar = Command::new("tar");
    tar.args(["-c", "-z", "-f"])
        .arg(archive)
        .arg(name)
        // macOS's would add a file with attributes to each.
        .env("COPYFILE_DISABLE", "1");
    tar
}

fn build(place: &Place, target: &str) -> Result<PathBuf> {
    let mut build = cargo();
    build
        .args(["build", "--quiet", "--release", "--locked"])
        .args(["--package", "npipe-cli", "--target", target])
        .env("CARGO_TARGET_DIR", &place.target)
        // Visual C++'s library is not on every Windows.
        .env(
            "CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_RUSTFLAGS",
            "-C target-feature=+crt-static",
        )
        .env(
            "CARGO_TARGET_AARCH64_PC_WINDOWS_MSVC_RUSTFLAGS",
            "-C target-feature=+crt-static",
        )
        .current_dir(&place.root);
    done(&mut build)?;
    let suffix = if target.contains("windows") {
        ".exe"
    } else {
        ""
    };
    Ok(place
        .target
        .join(target)
        .join("release")
        .join(format!("npipe{suffix}")))
}

fn done(command: &mut Command) -> Result<()> {
    let status = run_shown(command, LIMIT)?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// `npipe-VERSION-TARGET`, which `cargo binstall` looks for: see cli/Cargo.toml.
fn name(place: &Place, target: &str) -> Result<String> {
    Ok(format!("npipe-{}-{target}", version(place)?))
}

/// The workspace's.
fn version(place: &Place) -> Result<String> {
    let manifest = fs::read_to_string(place.root.join("Cargo.toml"))?;
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "));
    let version = line.context("Cargo.toml has no version")?;
    Ok(version.trim_matches('"').to_owned())
}

/// A tag `v1.2.3` that is being released is that of this version.
fn right_tag(version: &str, tag: Option<&str>) -> Result<()> {
    let tagged = tag.and_then(|tag| tag.strip_prefix('v'));
    let tagged = tagged.filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    if let Some(tagged) = tagged.filter(|tagged| *tagged != version) {
        bail!("the tag is v{tagged}, and Cargo.toml says {version}");
    }
    Ok(())
}

/// What cargo builds for unless told otherwise.
fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = output(rustc, &["-vV"]).context("rustc does not say what it is")?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc names no host")
}

/// Whether this machine runs what is built for a target.
fn runs_here(target: &str) -> bool {
    let os = match env::consts::OS {
        "macos" => "apple-darwin",
        os => os,
    };
    target.starts_with(env::consts::ARCH) && target.contains(os)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the release workflow packs.
    const TARGETS: [&str; 6] = [
        "x86_64-unknown-linux-musl",
        "aarch64-unknown-linux-musl",
        "x86_64-apple-darwin",
        "aarch64-apple-darwin",
        "x86_64-pc-windows-msvc",
        "aarch64-pc-windows-msvc",
    ];

    /// The values of a key, in a section and what it overrides by target.
    fn value<'a>(manifest: &'a str, target: &str, key: &str) -> &'a str {
        let overrides = format!("[package.metadata.binstall.overrides.{target}]");
        [overrides.as_str(), "[package.metadata.binstall]"]
            .iter()
            .find_map(|section| {
                let lines = manifest.lines().skip_while(|line| line != section).skip(1);
                lines
                    .take_while(|line| !line.starts_with('['))
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))
            })
            .unwrap()
            .trim_matches('"')
    }

    #[test]
    fn binstall_looks_for_what_is_packed() {
        let place = Place::find().unwrap();
        let version = version(&place).unwrap();
        let manifest = fs::read_to_string(place.root.join("cli/Cargo.toml")).unwrap();
        let workflow = place.root.join(".github/workflows/release.yml");
        let workflow = fs::read_to_string(workflow).unwrap();
        for target in TARGETS {
            assert!(workflow.contains(target), "{target} is not released");
            let name = name(&place, target).unwrap();
            let filled = |key| {
                let text = value(&manifest, target, key);
                text.replace("{ version }", &version)
                    .replace("{ target }", target)
            };
            let url = filled("pkg-url");
            let end = format!("/releases/download/v{version}/{name}{}", suffix(target));
            assert!(url.ends_with(&end), "{url} does not end with {end}");
            assert_eq!(
                filled("bin-dir"),
                format!("{name}/{{ bin }}{{ binary-ext }}")
            );
        }
    }

    #[test]
    fn the_page_of_the_whole_names_the_commands() {
        let page = ".TP\n\\fBnpipe\\-connect\\fR(1)\nA client\n.TP\n\\fBnpipe\\-relay\\fR(1)\n";
        assert_eq!(commands(page).collect::<Vec<_>>(), ["connect", "relay"]);
    }

    #[test]
    fn a_tag_is_of_its_version() {
        assert!(right_tag("1.2.3", Some("v1.2.3")).is_ok());
        assert!(right_tag("1.2.3", Some("v1.2.4")).is_err());
        assert!(right_tag("1.2.3", Some("version-two")).is_ok());
        assert!(right_tag("1.2.3", None).is_ok());
    }
}
