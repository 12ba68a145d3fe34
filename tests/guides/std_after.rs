use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::time::Duration;

use npipe::{ConnectOptions, PipeListener};

pub fn serve(name: &str) -> io::Result<()> {
    let listener = PipeListener::bind(name)?;
    let stream = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut line = String::new();
    match BufReader::new(&stream).read_line(&mut line) {
        Ok(_) => writeln!(&stream, "you said {}", line.trim_end()),
        Err(e) if e.kind() == ErrorKind::TimedOut => writeln!(&stream, "too slow"),
        Err(e) => Err(e),
    }
}

pub fn ask(name: &str, question: &str) -> io::Result<String> {
    let stream = ConnectOptions::new()
        .wait_for_server(true)
        .timeout(Duration::from_secs(30))
        .connect(name)?;
    writeln!(&stream, "{question}")?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    Ok(answer)
}
