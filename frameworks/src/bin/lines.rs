//! Lines over a pipe, by tokio-util's codec: lines serve|connect NAME [LINE...]
//!
//! The server answers each line with "you said LINE", to any number of clients. Any language that reads and writes lines
//! is a client, `npipe connect NAME` too.

use futures_util::{SinkExt, StreamExt};
use npipe::tokio::{PipeListener, PipeStream};
use tokio_util::codec::{Framed, LinesCodec};

/// Whoever sends a longer line without an end is cut off, in bytes.
const LONGEST: usize = 64 * 1024;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [side, name, lines @ ..] = &words[..] else {
        anyhow::bail!("usage: lines serve|connect NAME [LINE...]");
    };
    if side == "connect" {
        let mut stream = framed(PipeStream::connect(name).await?);
        for line in lines {
            stream.send(line).await?;
            if let Some(answer) = stream.next().await {
                println!("{}", answer?);
            }
        }
        return Ok(());
    }
    let listener = PipeListener::bind(name)?;
    println!("ready");
    let serve = async {
        loop {
            let mut stream = framed(listener.accept().await?);
            tokio::spawn(async move {
                while let Some(Ok(line)) = stream.next().await {
                    if stream.send(format!("you said {line}")).await.is_err() {
                        break;
                    }
                }
            });
        }
    };
    tokio::select! {
        served = serve => served,
        () = npipe_frameworks::told_to_end() => Ok(()),
    }
}

fn framed(stream: PipeStream) -> Framed<PipeStream, LinesCodec> {
    Framed::new(stream, LinesCodec::new_with_max_length(LONGEST))
}
