//! A client that goes on when its server restarts: `cargo run --example reconnect [PIPE]`, then a question a line.
//!
//! The other side is `interop/csharp/Reconnect.cs`: start it, kill it, start it again. A question that was not answered
//! is asked again, so a server may get it twice: it must not matter, or the questions need numbers by which it can
//! tell.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::time::Duration;

use npipe::{ConnectOptions, PipeStream};

/// How long a restart may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A question that so many servers have died of is not asked again.
const TRIES: u32 = 5;

fn main() -> io::Result<()> {
    let name = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "reconnect".into());

    let mut connection = None;
    for question in io::stdin().lines() {
        println!("{}", answer(&name, &mut connection, &question?)?);
    }
    Ok(())
}

/// The answer, from whichever server gives it. The connection stays for the next question.
fn answer(
    name: &str,
    connection: &mut Option<BufReader<PipeStream>>,
    question: &str,
) -> io::Result<String> {
    for _ in 0..TRIES {
        let server = match connection {
            Some(server) => server,
            None => connection.insert(BufReader::new(connect(name)?)),
        };
        match ask(server, question) {
            // What a server is that has been ended or killed, on every system.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
                ) =>
            {
                eprintln!("the server has gone, waiting for the next ({error})");
                *connection = None;
            }
            asked => return asked,
        }
    }
    let why = format!("{TRIES} servers have gone over this question: {question}");
    Err(io::Error::other(why))
}

/// Waits for a server by the system's events: the one that restarts is not there for a while.
fn connect(name: &str) -> io::Result<PipeStream> {
    ConnectOptions::new()
        .timeout(PATIENCE)
        .wait_for_server(true)
        .connect(name)
}

fn ask(server: &mut BufReader<PipeStream>, question: &str) -> io::Result<String> {
    writeln!(server.get_ref(), "{question}")?;
    let mut line = String::new();
    server.read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(answer) => Ok(answer
            .trim_start_matches('\u{feff}')
            .trim_end_matches('\r')
            .to_owned()),
        // Half an answer is none.
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}
