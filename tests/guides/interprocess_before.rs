use std::io::{self, BufRead, BufReader, Write};

use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Stream};

pub fn serve(path: &str) -> io::Result<()> {
    let name = path.to_fs_name::<GenericFilePath>()?;
    let listener = ListenerOptions::new().name(name).create_sync()?;
    let stream = listener.accept()?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    writeln!(&stream, "you said {}", line.trim_end())
}

pub fn ask(path: &str, question: &str) -> io::Result<String> {
    let name = path.to_fs_name::<GenericFilePath>()?;
    let stream = Stream::connect(name)?;
    writeln!(&stream, "{question}")?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    Ok(answer)
}
