//! The client of the conversation that README.md shows: `cargo run --example client [PIPE]`.
//!
//! Any server that follows it can be at the other end: `examples/server.rs`, `interop/csharp/Server.cs`, your own.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::time::Duration;

use npipe::ConnectOptions;

fn main() -> io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "mypipe".into());

    let connected = ConnectOptions::new()
        .timeout(Duration::from_secs(5))
        .wait_for_server(true)
        .connect(&name);
    let stream = match connected {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            eprintln!("No server came within 5 seconds. Start one first. ({error})");
            std::process::exit(1);
        }
        Err(error) => return Err(error),
    };

    writeln!(&stream, "Hello from Rust")?;
    println!("{}", read_line(&mut BufReader::new(&stream))?);
    writeln!(&stream, "Rust is done")?;
    Ok(())
}

/// One line, clean: C# may put a byte order mark before its first, and ends lines with CR LF on Windows.
fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_start_matches('\u{feff}').trim_end().to_owned())
}
