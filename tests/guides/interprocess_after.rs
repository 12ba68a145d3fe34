use std::io::{self, BufRead, BufReader, Write};

use npipe::{PipeListener, PipeStream};

pub fn serve(name: &str) -> io::Result<()> {
    let listener = PipeListener::bind(name)?;
    let stream = listener.accept()?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    writeln!(&stream, "you said {}", line.trim_end())
}

pub fn ask(name: &str, question: &str) -> io::Result<String> {
    let stream = PipeStream::connect(name)?;
    writeln!(&stream, "{question}")?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    Ok(answer)
}
