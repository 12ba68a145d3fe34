use std::io;

use npipe::tokio::{PipeListener, PipeStream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

async fn answer(client: PipeStream) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    client.read_line(&mut line).await?;
    let answer = format!("you said {line}");
    client.write_all(answer.as_bytes()).await
}

pub async fn serve(name: &str) -> io::Result<()> {
    let listener = PipeListener::bind(name)?;
    loop {
        let client = listener.accept().await?;
        tokio::spawn(answer(client));
    }
}

pub async fn ask(name: &str, question: &str) -> io::Result<String> {
    let client = PipeStream::connect(name).await?;
    let mut client = BufReader::new(client);
    client.write_all(format!("{question}\n").as_bytes()).await?;
    let mut answer = String::new();
    client.read_line(&mut answer).await?;
    Ok(answer)
}
