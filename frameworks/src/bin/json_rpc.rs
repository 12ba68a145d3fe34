//! JSON-RPC over a pipe, both sides calling each other: json_rpc serve|connect NAME [DEED...]
//!
//! What it answers, its deeds and what it prints are those of `interop/node/jsonrpc.js`; it is called "Rust". The C# side is
//! `interop/csharp/JsonRpc.cs`, or StreamJsonRpc's `JsonRpc.Attach(pipe, target)`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use npipe::tokio::{PipeListener, PipeStream};
use npipe_frameworks::rpc::{
    Answer, CANCELLED, Cancel, Connection, Failure, INVALID_PARAMS, METHOD_NOT_FOUND, Service,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// How far somebody's work has come, told to whoever listens at the moment.
type Progress = Arc<Mutex<Option<mpsc::UnboundedSender<(u64, u64)>>>>;

struct Rust {
    progress: Progress,
    exit: mpsc::UnboundedSender<()>,
}

impl Service for Rust {
    fn call(&self, other: Connection, method: &str, params: Value, cancel: Cancel) -> Answer {
        match method {
            "add" => {
                let sum = match (params[0].as_f64(), params[1].as_f64()) {
                    (Some(a), Some(b)) => Ok(number(a + b)),
                    _ => Err(Failure::new(INVALID_PARAMS, "numbers only")),
                };
                Box::pin(async { sum })
            }
            "name" => Box::pin(async { Ok(json!("Rust")) }),
            "greet" => Box::pin(async move {
                let name = other.call("name", json!([])).await?;
                Ok(json!(format!("Hello {}", name.as_str().unwrap_or("?"))))
            }),
            "work" => Box::pin(async move {
                let steps = params["steps"].as_u64().unwrap_or_default();
                let pause = Duration::from_millis(params["ms"].as_u64().unwrap_or_default());
                let work = async {
                    for done in 1..=steps {
                        tokio::time::sleep(pause).await;
                        other.notify("progress", json!({ "done": done, "of": steps }));
                    }
                    Ok(json!(steps))
                };
                tokio::select! {
                    worked = work => worked,
                    () = cancel.cancelled() => Err(Failure::new(CANCELLED, "cancelled")),
                }
            }),
            _ => {
                let why = format!("no such method: {method}");
                Box::pin(async { Err(Failure::new(METHOD_NOT_FOUND, why)) })
            }
        }
    }

    fn notified(&self, _other: &Connection, method: &str, params: Value) {
        match method {
            "progress" => {
                let step = (params["done"].as_u64(), params["of"].as_u64());
                let progress = self.progress.lock().ok().and_then(|p| p.clone());
                if let ((Some(done), Some(of)), Some(progress)) = (step, progress) {
                    let _ = progress.send((done, of));
                }
            }
            "exit" => drop(self.exit.send(())),
            _ => {}
        }
    }
}

/// A whole number is written as one.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [side, name, deeds @ ..] = &words[..] else {
        anyhow::bail!("usage: json_rpc serve|connect NAME [DEED...]");
    };
    let serves = side == "serve";
    let stream = if serves {
        let listener = PipeListener::bind(name)?;
        println!("ready");
        listener.accept().await?
    } else {
        PipeStream::connect(name).await?
    };
    let progress = Progress::default();
    let (exit, mut told_to_exit) = mpsc::unbounded_channel();
    let service = Rust {
        progress: progress.clone(),
        exit,
    };
    let (connection, running) = Connection::start(stream, service);
    let acting = async {
        for deed in deeds {
            if let Err(failure) = act(&connection, &progress, deed).await? {
                println!("error {}", failure.code);
            }
        }
        if serves && deeds.is_empty() {
            connection.ended().await;
        }
        connection.flush().await;
        anyhow::Ok(())
    };
    tokio::pin!(running, acting);
    tokio::select! {
        acted = &mut acting => acted?,
        _ = told_to_exit.recv() => {}
        // What was asked fails now, and `end` is told.
        ran = &mut running => {
            ran?;
            acting.await?;
        }
    }
    Ok(())
}

async fn act(
    connection: &Connection,
    progress: &Progress,
    deed: &str,
) -> anyhow::Result<Result<(), Failure>> {
    let (verb, value) = deed.split_once('=').unwrap_or((deed, ""));
    let call = |method, params| connection.call(method, params);
    let done = async {
        match verb {
            "add" => {
                let numbers = value.split(',').map(|word| match word.parse::<i64>() {
                    Ok(number) => json!(number),
                    Err(_) => json!(word),
                });
                let sum = call("add", numbers.collect()).await?;
                println!("sum {sum}");
            }
            "name" => println!("name {}", text(&call("name", json!([])).await?)),
            "greet" => println!("greeted {}", text(&call("greet", json!([])).await?)),
            "work" => {
                let (tell, mut told) = mpsc::unbounded_channel();
                listen(progress, Some(tell));
                let steps: u64 = value.parse().unwrap_or_default();
                let work = call("work", json!({ "steps": steps, "ms": 1 }));
                tokio::pin!(work);
                let worked = loop {
                    tokio::select! {
                        biased;
                        Some((done, of)) = told.recv() => println!("progress {done} of {of}"),
                        worked = &mut work => break worked,
                    }
                };
                println!("worked {}", worked?);
            }
            "cancel" => {
                let (tell, mut told) = mpsc::unbounded_channel();
                listen(progress, Some(tell));
                let after: u64 = value.parse().unwrap_or_default();
                let (id, work) = connection.begin("work", json!({ "steps": 1_000_000, "ms": 1 }));
                tokio::pin!(work);
                let worked = loop {
                    tokio::select! {
                        Some((done, _)) = told.recv() => {
                            if done == after {
                                connection.notify("$/cancelRequest", json!({ "id": id }));
                            }
                        }
                        worked = &mut work => break worked,
                    }
                };
                println!("worked {}", worked?);
            }
            "many" => {
                let many: i64 = value.parse().unwrap_or_default();
                let all: Vec<_> = (0..many)
                    .map(|i| connection.begin("add", json!([i, i])))
                    .collect();
                let mut good = 0;
                for (i, (_, sum)) in (0..).zip(all) {
                    good += i64::from(sum.await?.as_f64() == Some(f64::from(2 * i)));
                }
                println!("{good} of {many}");
            }
            "unknown" => drop(call("unknown", json!([])).await?),
            "exit" => connection.notify("exit", json!([])),
            "end" => {
                connection.ended().await;
                println!("the end");
            }
            _ => return Ok(false),
        }
        Ok(true)
    };
    let done = done.await;
    listen(progress, None);
    match done {
        Ok(true) => Ok(Ok(())),
        Ok(false) => anyhow::bail!("no such deed: {deed}"),
        Err(failure) => Ok(Err(failure)),
    }
}

fn listen(progress: &Progress, to: Option<mpsc::UnboundedSender<(u64, u64)>>) {
    if let Ok(mut progress) = progress.lock() {
        *progress = to;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
