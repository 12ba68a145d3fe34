//! Rust with Rust: serde's JSON in frames with their length before them: length_delimited serve|connect NAME
//!
//! The client asks for three sums, the server answers each.

use anyhow::Context;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use npipe::tokio::{PipeListener, PipeStream};
use serde::{Deserialize, Serialize};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

#[derive(Debug, Serialize, Deserialize)]
struct Sum {
    numbers: Vec<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    sum: Option<i64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [side, name] = &words[..] else {
        anyhow::bail!("usage: length_delimited serve|connect NAME");
    };
    if side == "connect" {
        let mut stream = framed(PipeStream::connect(name).await?);
        for numbers in [vec![1, 2, 3], vec![], vec![i64::MAX, 1]] {
            let question = Sum { numbers };
            stream
                .send(Bytes::from(serde_json::to_vec(&question)?))
                .await?;
            let answer = stream.next().await.context("the server has gone")??;
            let answer: Answer = serde_json::from_slice(&answer)?;
            match answer.sum {
                Some(sum) => println!("sum {sum}"),
                None => println!("too large"),
            }
        }
        return Ok(());
    }
    let listener = PipeListener::bind(name)?;
    println!("ready");
    let serve = async {
        loop {
            let stream = framed(listener.accept().await?);
            tokio::spawn(async move {
                // Who sends what is none of these frames is cut off.
                if let Err(error) = answer_all(stream).await {
                    eprintln!("{error:#}");
                }
            });
        }
    };
    tokio::select! {
        served = serve => served,
        () = npipe_frameworks::told_to_end() => Ok(()),
    }
}

async fn answer_all(mut stream: Framed<PipeStream, LengthDelimitedCodec>) -> anyhow::Result<()> {
    while let Some(question) = stream.next().await {
        let Sum { numbers } = serde_json::from_slice(&question?)?;
        let sum = numbers.into_iter().try_fold(0i64, i64::checked_add);
        stream
            .send(Bytes::from(serde_json::to_vec(&Answer { sum })?))
            .await?;
    }
    Ok(())
}

fn framed(stream: PipeStream) -> Framed<PipeStream, LengthDelimitedCodec> {
    LengthDelimitedCodec::builder()
        .max_frame_length(1 << 20)
        .new_framed(stream)
}
