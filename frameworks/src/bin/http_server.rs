//! axum on a pipe: http_server NAME
//!
//! It answers `GET /hello`, `POST /echo`, `GET /slow?ms=N` and `GET /whoami`, until Ctrl-C or the end of its standard input;
//! then no new client comes, and what is under way has five seconds to end. The C# client is `interop/csharp/Http.cs`.

use std::collections::HashMap;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Query};
use axum::routing::{get, post};
use npipe::tokio::{Peer, PipeListener};

/// How long requests that are under way may go on after the end has begun.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let name = std::env::args().nth(1).unwrap_or("mypipe".to_owned());
    let app = Router::new()
        .route("/hello", get(async || "Hello from Rust\n"))
        .route("/echo", post(async |body: Bytes| body))
        .route("/slow", get(slow))
        .route("/whoami", get(whoami));
    let listener = PipeListener::bind(&name)?;
    println!("ready");
    let (end, ended) = tokio::sync::oneshot::channel();
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(async {
            npipe_frameworks::told_to_end().await;
            let _ = end.send(());
        });
    let late = async {
        let _ = ended.await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = server => served?,
        () = late => eprintln!("some requests were still under way after {GRACE:?}"),
    }
    Ok(())
}

async fn slow(Query(query): Query<HashMap<String, u64>>) -> &'static str {
    let ms = query.get("ms").copied().unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(ms)).await;
    "slow\n"
}

/// Who asks: the pipe knows, and no header has to be believed.
async fn whoami(ConnectInfo(peer): ConnectInfo<Peer>) -> String {
    match (peer.pid, peer.identity) {
        (Some(pid), Some(user)) => format!("process {pid} of {user}\n"),
        (None, Some(user)) => format!("a process of {user}\n"),
        _ => "the system does not tell\n".to_owned(),
    }
}
