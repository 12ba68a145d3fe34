//! hyper over a pipe: http_client NAME [DEED...]
//!
//! Its deeds are those of `interop/go/http`: `get=PATH`, `echo=N`, `many=N` at once, `keep=N` one after the other; and
//! `version=2` for HTTP/2 without TLS. Without any it asks for /hello.

use std::time::Duration;

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use npipe::ConnectOptions;
use npipe::tokio::PipeConnector;

/// How long a connection may wait for a server that is busy.
const BUSY: Duration = Duration::from_secs(30);

type Http = Client<PipeConnector, Full<Bytes>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or("mypipe".to_owned());
    let mut deeds: Vec<String> = words.collect();
    if deeds.is_empty() {
        deeds.push("get=/hello".to_owned());
    }
    // Other languages' servers keep few instances ready: many clients at once are to wait their turn.
    let options = ConnectOptions::new().timeout(BUSY);
    let connector = PipeConnector::new(&name).options(options);
    let client = |http2| -> Http {
        Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build(connector.clone())
    };
    let mut http = client(false);
    for deed in &deeds {
        let (verb, value) = deed.split_once('=').unwrap_or((deed, ""));
        match verb {
            "version" => http = client(value == "2"),
            "get" => {
                let (status, body) = ask(&http, Method::GET, value, Bytes::new()).await?;
                let body = String::from_utf8_lossy(&body);
                println!("{} {}", status.as_u16(), body.trim_end());
            }
            "echo" => {
                let sent: Bytes = pattern(value.parse()?);
                let (status, body) = ask(&http, Method::POST, "/echo", sent.clone()).await?;
                ensure!(status == StatusCode::OK && body == sent, "another echo");
                println!("echoed {value}");
            }
            "many" => {
                let many: usize = value.parse()?;
                let all: Vec<_> = (0..many)
                    .map(|_| {
                        let http = http.clone();
                        tokio::spawn(async move { hello(&http).await })
                    })
                    .collect();
                let mut good = 0;
                for one in all {
                    good += usize::from(one.await?);
                }
                println!("{good} of {many}");
            }
            "keep" => {
                let many: usize = value.parse()?;
                let mut good = 0;
                for _ in 0..many {
                    good += usize::from(hello(&http).await);
                }
                println!("{good} of {many}");
            }
            _ => anyhow::bail!("no such deed: {deed}"),
        }
    }
    Ok(())
}

async fn ask(
    http: &Http,
    method: Method,
    path: &str,
    body: Bytes,
) -> anyhow::Result<(StatusCode, Bytes)> {
    // The host is for the request's header alone: the pipe is the connector's.
    let request = Request::builder()
        .method(method)
        .uri(format!("http://pipe{path}"))
        .body(Full::new(body))?;
    let answer = http.request(request).await.context("request")?;
    let status = answer.status();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

async fn hello(http: &Http) -> bool {
    match ask(http, Method::GET, "/hello", Bytes::new()).await {
        Ok((status, body)) => status == StatusCode::OK && body.starts_with(b"Hello"),
        Err(error) => {
            eprintln!("{error:#}");
            false
        }
    }
}

/// The bytes that the other languages' clients send.
fn pattern(count: usize) -> Bytes {
    (0..count).map(|i| (i * 31 + (i >> 8)) as u8).collect()
}
