//! A message-mode server: `cargo run --example messages [PIPE]`.
//!
//! The other side on Windows is `interop/csharp/Messages.cs`. On Linux .NET has no message mode, and the form is
//! npipe's own: there `npipe connect --message messages` is the other side, a line a message, or any client of the
//! library, whose `send` and `recv` need no option. macOS has no message pipes: `bind` is `Unsupported`.
//!
//! A message is whole, however long it is and in however many pieces it comes. Each is answered by one that tells its
//! length and shows it in capitals. An empty message is not answered: it is how `close_write` ends a message pipe.

use std::io::{self, ErrorKind};
use std::thread;

use npipe::{ListenOptions, PipeStream};

fn main() -> io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "messages".into());

    let listener = ListenOptions::new()
        .message_mode(true)
        .max_message_size(1 << 20)
        .bind(&name)?;
    eprintln!("waiting for a client on {}", listener.local_addr());
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                eprintln!("{error}");
                continue;
            }
        };
        let thread = thread::Builder::new().spawn(move || match serve(&stream) {
            // Over the limit. The rest of the message is still in the pipe, so this client is dropped.
            Err(error) if error.kind() == ErrorKind::InvalidData => eprintln!("cut off: {error}"),
            Err(error) => eprintln!("a client: {error}"),
            Ok(()) => {}
        });
        if let Err(error) = thread {
            eprintln!("no thread for a client, which is cut off: {error}");
        }
    }
    Ok(())
}

fn serve(stream: &PipeStream) -> io::Result<()> {
    let mut message = Vec::new();
    loop {
        message.clear();
        match stream.recv(&mut message)? {
            // The client has closed, or half closed: its last message is answered, and it still reads.
            None | Some(0) => return Ok(()),
            Some(length) => {
                let text = String::from_utf8_lossy(&message).to_uppercase();
                stream.send(format!("{length} bytes: {text}").as_bytes())?;
            }
        }
    }
}
