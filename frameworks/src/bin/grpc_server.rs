//! tonic on a pipe: grpc_server NAME
//!
//! It serves `interop/proto/talk.proto` until Ctrl-C or the end of its standard input, and prints each call, and
//! "Count was cancelled" when a client gives one up or its deadline passes.

use std::pin::Pin;
use std::time::Duration;

use npipe::tokio::{Peer, PipeListener};
use npipe_frameworks::talk::talk_server::{Talk, TalkServer};
use npipe_frameworks::talk::{Number, Span, Words};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

struct Talker;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Talk for Talker {
    async fn say(&self, request: Request<Words>) -> Result<Response<Words>, Status> {
        // Whose process it is; nobody has to believe a header.
        let pid = request.extensions().get::<Peer>().and_then(|peer| peer.pid);
        println!("Say");
        eprintln!("from process {pid:?}");
        let text = request.into_inner().text;
        if text.is_empty() {
            return Err(Status::invalid_argument("say something"));
        }
        let text = format!("Hello, {text}");
        Ok(Response::new(Words { text }))
    }

    type CountStream = Answers<Number>;

    async fn count(&self, request: Request<Span>) -> Result<Response<Answers<Number>>, Status> {
        println!("Count");
        let Span { count, pause_ms } = request.into_inner();
        let (numbers, stream) = mpsc::channel(16);
        tokio::spawn(async move {
            for number in 1..=count {
                if pause_ms > 0 {
                    tokio::time::sleep(Duration::from_millis(pause_ms.into())).await;
                }
                // Who has gone, or is too late, takes no more.
                if numbers.send(Ok(Number { number })).await.is_err() {
                    println!("Count was cancelled");
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    type ChatStream = Answers<Words>;

    async fn chat(
        &self,
        request: Request<Streaming<Words>>,
    ) -> Result<Response<Answers<Words>>, Status> {
        println!("Chat");
        let words = request.into_inner();
        Ok(Response::new(Box::pin(words.map(|words| words))))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let name = std::env::args().nth(1).unwrap_or("mypipe".to_owned());
    let listener = PipeListener::bind(&name)?;
    println!("ready");
    Server::builder()
        .add_service(TalkServer::new(Talker))
        .serve_with_incoming_shutdown(listener.incoming(), npipe_frameworks::told_to_end())
        .await?;
    Ok(())
}
