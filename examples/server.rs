//! The server of the conversation that README.md shows: `cargo run --example server [PIPE]`.
//!
//! Any client that follows it can be at the other end: `examples/client.rs`, `interop/csharp/Client.cs`, your own.

use std::io::{self, BufRead, BufReader, Write};

use npipe::PipeListener;

fn main() -> io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "mypipe".into());

    let listener = PipeListener::bind(&name)?;
    eprintln!("waiting for a client on {}", listener.local_addr());
    let stream = listener.accept()?;
    let mut reader = BufReader::new(&stream);

    println!("{}", read_line(&mut reader)?);
    writeln!(&stream, "Hello from Rust")?;
    println!("{}", read_line(&mut reader)?);
    Ok(())
}

/// One line, clean: C# may put a byte order mark before its first, and ends lines with CR LF on Windows.
fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_start_matches('\u{feff}').trim_end().to_owned())
}
