//! A program that runs once: `cargo run --example single_instance [PIPE [ARGUMENT...]]`, and again, with other
//! arguments.
//!
//! The first start has the pipe. Every other one hands its directory and arguments to the first, and ends;
//! `interop/csharp/SingleInstance.cs` does so from C#. `quit` ends the first. A real program has its own name for the
//! pipe, and does with what comes what it would do with its own arguments: opens a file, shows a window.
//!
//! It is safe however many start at once and whenever the first ends: whoever can neither bind nor hand over tries
//! again.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use npipe::{ConnectOptions, ExpectServer, PipeError, PipeListener, PipeStream, Reason};
use serde_json::{Value, json};

/// How long the first may take for what is handed to it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest call, in bytes.
const LONGEST: u64 = 1 << 20;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments
        .next()
        .unwrap_or_else(|| "single-instance".to_owned());
    let call = json!({
        "directory": std::env::current_dir()?.display().to_string(),
        "arguments": arguments.collect::<Vec<_>>(),
    });

    match start(&name, &call)? {
        Start::First(listener) => {
            println!("first");
            run(&listener, &call)
        }
        Start::HandedOver => {
            println!("handed over");
            Ok(())
        }
    }
}

enum Start {
    First(PipeListener),
    HandedOver,
}

/// Binds, or hands the call to whoever has bound, or tries again: between the two the first may have ended.
fn start(name: &str, call: &Value) -> io::Result<Start> {
    let until = Instant::now() + PATIENCE;
    loop {
        match PipeListener::bind(name) {
            Ok(listener) => return Ok(Start::First(listener)),
            Err(error) if reason(&error) == Some(Reason::NameTaken) => {}
            Err(error) => return Err(error),
        }
        match hand_over(name, call) {
            Ok(()) => return Ok(Start::HandedOver),
            Err(error) if has_ended(&error) && Instant::now() < until => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error),
        }
    }
}

fn reason(error: &io::Error) -> Option<Reason> {
    PipeError::of(error).map(PipeError::reason)
}

/// Whether the first has ended, before it took the call or before it was there to be connected to.
fn has_ended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    )
}

/// To our own user's program alone: another user who took the name first learns nothing.
fn hand_over(name: &str, call: &Value) -> io::Result<()> {
    let stream = ConnectOptions::new()
        .timeout(PATIENCE)
        .expect_server(ExpectServer::CurrentUser)
        .connect(name)?;
    stream.set_deadline(Some(Instant::now() + PATIENCE))?;
    writeln!(&stream, "{call}")?;
    // Only its answer says that the first has it: what was written is lost if it ends before it has read that.
    match read_line(&stream)?.as_str() {
        "taken" => Ok(()),
        other => Err(io::Error::other(format!("not our program: {other}"))),
    }
}

/// The program itself: its own call, then those of the other starts.
fn run(listener: &PipeListener, call: &Value) -> io::Result<()> {
    if serve(call) {
        return Ok(());
    }
    for stream in listener.incoming() {
        match stream.and_then(|stream| take(&stream)) {
            Ok(call) => {
                if serve(&call) {
                    return Ok(());
                }
            }
            Err(error) => eprintln!("a start that did not hand over: {error}"),
        }
    }
    Ok(())
}

/// Takes a call, from somebody who may not have one.
fn take(stream: &PipeStream) -> io::Result<Value> {
    stream.set_deadline(Some(Instant::now() + Duration::from_secs(10)))?;
    let call = serde_json::from_str(&read_line(stream)?)?;
    writeln!(&*stream, "taken")?;
    Ok(call)
}

/// Does what a call asks for. True: it asks for the end.
fn serve(call: &Value) -> bool {
    println!("{call}");
    call["arguments"] == json!(["quit"])
}

fn read_line(stream: &PipeStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line
            .trim_start_matches('\u{feff}')
            .trim_end_matches('\r')
            .to_owned()),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}
