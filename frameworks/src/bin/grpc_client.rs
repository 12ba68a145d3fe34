//! tonic's client over a pipe: grpc_client NAME [DEED...]
//!
//! Its deeds, and what it prints, are those of `interop/go/grpc`; without any it says "Rust".

use std::time::Duration;

use npipe::tokio::PipeConnector;
use npipe_frameworks::talk::talk_client::TalkClient;
use npipe_frameworks::talk::{Span, Words};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

const WITHOUT_END: u32 = 1 << 30;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or("mypipe".to_owned());
    let mut deeds: Vec<String> = words.collect();
    if deeds.is_empty() {
        deeds.push("say=Rust".to_owned());
    }
    // The URI is for the requests' headers alone: the pipe is the connector's.
    let channel = Endpoint::from_static("http://pipe")
        .connect_with_connector(PipeConnector::new(&name))
        .await?;
    let mut client = TalkClient::new(channel);
    for deed in &deeds {
        let (verb, value) = deed.split_once('=').unwrap_or((deed, ""));
        if let Err(error) = act(&mut client, verb, value).await {
            match error.downcast::<Status>() {
                Ok(status) => {
                    let line = format!("status {} {}", status.code() as i32, status.message());
                    println!("{}", line.trim_end());
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

async fn act(client: &mut TalkClient<Channel>, verb: &str, value: &str) -> anyhow::Result<()> {
    match verb {
        "say" => {
            let text = value.to_owned();
            let said = client.say(Words { text }).await?.into_inner();
            println!("said {}", said.text);
        }
        "count" => {
            let counted = count(client, value.parse()?, None, None).await?;
            println!("counted {counted}");
        }
        "chat" => {
            let many: usize = value.parse()?;
            let word = |i| Words {
                text: format!("word {i}"),
            };
            let (say, said) = mpsc::channel(1);
            // Before the answer is waited for: some servers begin it with the first word.
            say.send(word(0)).await?;
            let mut answers = client.chat(ReceiverStream::new(said)).await?.into_inner();
            for i in 0..many {
                let answer = answers.message().await?;
                anyhow::ensure!(answer == Some(word(i)), "another word came back");
                if i + 1 < many {
                    say.send(word(i + 1)).await?;
                }
            }
            drop(say);
            anyhow::ensure!(answers.message().await?.is_none(), "one word too many");
            println!("chatted {many}");
        }
        "streams" => {
            let many: usize = value.parse()?;
            let all: Vec<_> = (0..many)
                .map(|_| {
                    let mut client = client.clone();
                    tokio::spawn(async move { count(&mut client, 100, None, None).await })
                })
                .collect();
            let mut good = 0;
            for one in all {
                good += usize::from(one.await?? == 100);
            }
            println!("streamed {good}");
        }
        "deadline" => {
            let deadline = Duration::from_millis(value.parse()?);
            // The header tells the server; tonic itself holds it until the answer begins, and a stream goes on from there.
            let counting = count(client, WITHOUT_END, Some(deadline), None);
            let counted = tokio::time::timeout(deadline, counting).await;
            counted.map_err(|_| Status::deadline_exceeded("too late"))??;
        }
        "cancel" => {
            count(client, WITHOUT_END, None, Some(value.parse()?)).await?;
            // The stream was dropped, which is how a client cancels.
            return Err(Status::cancelled("").into());
        }
        _ => anyhow::bail!("no such deed: {verb}"),
    }
    Ok(())
}

/// Counts to `to`, or until `until`; how far it came.
async fn count(
    client: &mut TalkClient<Channel>,
    to: u32,
    deadline: Option<Duration>,
    until: Option<u32>,
) -> anyhow::Result<u32> {
    let pause_ms = u32::from(to == WITHOUT_END);
    let mut request = Request::new(Span {
        count: to,
        pause_ms,
    });
    if let Some(deadline) = deadline {
        request.set_timeout(deadline);
    }
    let mut numbers = client.count(request).await?.into_inner();
    let mut last = 0;
    while let Some(number) = numbers.message().await? {
        last += 1;
        anyhow::ensure!(
            number.number == last,
            "{} after {}",
            number.number,
            last - 1
        );
        if until == Some(last) {
            break;
        }
    }
    Ok(last)
}
