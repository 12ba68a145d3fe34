//! A server of JSON lines, a thread per client, that ends well on Ctrl-C: `cargo run --example json_lines [PIPE]`.
//!
//! The other side is `interop/csharp/JsonLines.cs`, or `npipe connect jsonlines` and your hands. A request is a line
//! such as `{"id":1,"text":"hello"}`; its answer is `{"id":1,"upper":"HELLO"}`, or has an `"error"`.
//!
//! Ctrl-C closes the listener, which ends the loop over the clients. Their threads wait in reads, which `shutdown`
//! ends; a thread that is in the middle of an answer writes the rest of it first.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use npipe::{PipeListener, PipeStream};
use serde_json::{Value, json};

/// The longest request, in bytes: a client that never ends its line does not fill the memory.
const LONGEST: u64 = 16 << 20;

/// A client that does not read its answers keeps the server from ending for no longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> io::Result<()> {
    let name = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "jsonlines".into());

    let listener = PipeListener::bind(&name)?;
    let closer = listener.try_clone()?;
    ctrlc::set_handler(move || closer.close()).map_err(io::Error::other)?;
    eprintln!("waiting for a client on {}", listener.local_addr());

    thread::scope(|scope| {
        // Weak: a client whose thread is done with it is gone, and not held open from here.
        let mut clients: Vec<Weak<PipeStream>> = Vec::new();
        for stream in listener.incoming() {
            let stream = match stream {
                Ok(stream) => Arc::new(stream),
                // Such as too many open files: the client stays in the queue, and comes next.
                Err(error) => {
                    eprintln!("{error}");
                    continue;
                }
            };
            clients.retain(|client| client.strong_count() > 0);
            clients.push(Arc::downgrade(&stream));
            let thread = thread::Builder::new().spawn_scoped(scope, move || {
                if let Err(error) = serve(&stream) {
                    eprintln!("a client: {error}");
                }
            });
            if let Err(error) = thread {
                eprintln!("no thread for a client, which is cut off: {error}");
            }
        }
        // The listener is closed. The scope waits for the threads, which come to the end of what they read now.
        for client in clients.iter().filter_map(Weak::upgrade) {
            client.shutdown(Shutdown::Read)?;
        }
        Ok(())
    })
}

/// Answers a client until it leaves or its reads are shut down.
fn serve(stream: &PipeStream) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") {
            writeln!(&*stream, "{}", answer(&line))?;
        } else if line.len() as u64 == LONGEST {
            let why = format!("its line is longer than {LONGEST} bytes");
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        } else {
            // The end. Half a line is no request.
            return Ok(());
        }
    }
}

fn answer(line: &[u8]) -> Value {
    let request: Value = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let id = &request["id"];
    match request["text"].as_str() {
        Some(text) => json!({ "id": id, "upper": text.to_uppercase() }),
        None => json!({ "id": id, "error": "it has no \"text\"" }),
    }
}
