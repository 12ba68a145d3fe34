use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeServer, ServerOptions};
use tokio::time;

const ERROR_PIPE_BUSY: i32 = 231;

async fn answer(client: NamedPipeServer) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    client.read_line(&mut line).await?;
    let answer = format!("you said {line}");
    client.write_all(answer.as_bytes()).await
}

pub async fn serve(path: &str) -> io::Result<()> {
    let mut server = ServerOptions::new()
        .first_pipe_instance(true)
        .create(path)?;
    loop {
        server.connect().await?;
        let client = server;
        server = ServerOptions::new().create(path)?;
        tokio::spawn(answer(client));
    }
}

pub async fn ask(path: &str, question: &str) -> io::Result<String> {
    let client = loop {
        match ClientOptions::new().open(path) {
            Ok(client) => break client,
            Err(e) if e.raw_os_error() == Some(ERROR_PIPE_BUSY) => {}
            Err(e) => return Err(e),
        }
        time::sleep(Duration::from_millis(50)).await;
    };
    let mut client = BufReader::new(client);
    client.write_all(format!("{question}\n").as_bytes()).await?;
    let mut answer = String::new();
    client.read_line(&mut answer).await?;
    Ok(answer)
}
