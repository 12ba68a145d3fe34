//! What HTTP costs over a pipe: axum and hyper's client, one connection that is kept alive, 1 KiB there and back, beside the
//! same over tokio's own Unix sockets (on Windows: tokio's own pipe) and over TCP on this machine.
//!
//! `cargo bench --bench http --features axum,hyper-util`; after `--` the number of rounds. Each subject's server is a process
//! of its own. The subjects take turns in small blocks, so that what else the machine does befalls all of them, and what is
//! compared is what they took in the same round.

use std::error::Error;
use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use axum::serve::ListenerExt;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use npipe::tokio::{PipeConnector, PipeListener};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

use Subject::{Ours, OursByTimers, Tcp, Theirs};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// In bytes.
const BODY: usize = 1024;

/// Round trips of one subject's turn.
const BLOCK: u32 = 50;

const ROUNDS: usize = 100;

/// What is measured, with the one first that the others are compared with.
const SUBJECTS: &[Subject] = if cfg!(windows) {
    &[Theirs, Ours, OursByTimers, Tcp]
} else {
    &[Theirs, Ours, Tcp]
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Ours,
    /// On a runtime without an I/O driver, which pipes on Windows do not need.
    OursByTimers,
    Theirs,
    Tcp,
}

impl Subject {
    fn title(self) -> &'static str {
        match self {
            Ours => "npipe",
            OursByTimers => "npipe, no I/O driver",
            Theirs if cfg!(windows) => "tokio's own pipe",
            Theirs => "tokio's UnixStream",
            Tcp => "TCP on 127.0.0.1",
        }
    }

    fn runtime(self, threads: &str) -> Outcome<Runtime> {
        let mut builder = match threads {
            "current_thread" => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        match self {
            OursByTimers => builder.enable_time(),
            _ => builder.enable_all(),
        };
        Ok(builder.build()?)
    }
}

fn main() -> Outcome<()> {
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", subject, threads, address] => {
            let index: usize = subject.parse()?;
            let subject = *SUBJECTS.get(index).ok_or("no such subject")?;
            let runtime = subject.runtime(threads)?;
            runtime.block_on(serve(subject, address))
        }
        [] => measure(ROUNDS),
        [rounds] => measure(rounds.parse()?),
        _ => Err("a number of rounds, or nothing".into()),
    }
}

async fn serve(subject: Subject, address: &str) -> Outcome<()> {
    let app = Router::new().route("/", post(async |body: Bytes| body));
    // The harness tells the end, by whatever end it comes to itself.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let ready = |address: &str| {
        println!("{address}");
        std::io::stdout().flush()
    };
    match subject {
        Ours | OursByTimers => {
            let listener = PipeListener::bind(address)?;
            ready(address)?;
            axum::serve(listener, app).await?;
        }
        Theirs => {
            let listener = theirs::bind(address)?;
            ready(address)?;
            axum::serve(listener, app).await?;
        }
        Tcp => {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            ready(&listener.local_addr()?.to_string())?;
            let prompt = listener.tap_io(|stream| {
                let _ = stream.set_nodelay(true);
            });
            axum::serve(prompt, app).await?;
        }
    }
    Ok(())
}

/// tokio's own.
#[cfg(unix)]
mod theirs {
    use std::io;

    pub fn bind(address: &str) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::bind(address)
    }

    pub async fn connect(address: String) -> io::Result<tokio::net::UnixStream> {
        tokio::net::UnixStream::connect(address).await
    }
}

#[cfg(windows)]
mod theirs {
    use std::io;

    use tokio::net::windows::named_pipe::{
        ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions,
    };

    /// The instance that waits for the next client, as tokio's documentation has it.
    pub struct Listener(NamedPipeServer, String);

    pub fn bind(address: &str) -> io::Result<Listener> {
        let first = ServerOptions::new().create(address)?;
        Ok(Listener(first, address.to_owned()))
    }

    pub async fn connect(address: String) -> io::Result<NamedPipeClient> {
        ClientOptions::new().open(address)
    }

    impl axum::serve::Listener for Listener {
        type Io = NamedPipeServer;
        type Addr = ();

        async fn accept(&mut self) -> (NamedPipeServer, ()) {
            self.0.connect().await.expect("a client");
            let next = ServerOptions::new()
                .create(&self.1)
                .expect("the next instance");
            (std::mem::replace(&mut self.0, next), ())
        }

        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[derive(Clone)]
struct TheirConnector(String);

#[cfg(unix)]
type Their = tokio::net::UnixStream;
#[cfg(windows)]
type Their = tokio::net::windows::named_pipe::NamedPipeClient;

impl Service<Uri> for TheirConnector {
    type Response = TokioIo<Their>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<TokioIo<Their>>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let address = self.0.clone();
        Box::pin(async move { theirs::connect(address).await.map(TokioIo::new) })
    }
}

/// A block of round trips: what one of them took.
type Block = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Outcome<Duration>> + Send>>>;

fn client<C>(connector: C, host: &str) -> Block
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client: Client<C, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let uri = format!("http://{host}/");
    Box::new(move || {
        let (client, uri) = (client.clone(), uri.clone());
        Box::pin(async move {
            let body = Bytes::from_static(&[b'x'; BODY]);
            let began = Instant::now();
            for _ in 0..BLOCK {
                let request = Request::post(&uri).body(Full::new(body.clone()))?;
                let answer = client.request(request).await?;
                let echoed = answer.into_body().collect().await?.to_bytes();
                if echoed != body {
                    return Err("another body came back".into());
                }
            }
            Ok(began.elapsed() / BLOCK)
        })
    })
}

/// A server, and where it is.
struct Server(Child, String);

impl Server {
    fn start(index: usize, threads: &str) -> Outcome<Server> {
        let name = format!("npipe-bench-http-{}-{index}", std::process::id());
        let address = match SUBJECTS[index] {
            Theirs if cfg!(windows) => format!(r"\\.\pipe\{name}"),
            Theirs => std::env::temp_dir().join(name).display().to_string(),
            _ => name,
        };
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", &index.to_string(), threads, &address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut ready)?;
        Ok(Server(child, ready.trim_end().to_owned()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        for file in [&*self.1, &*npipe_path(&self.1)] {
            if std::path::Path::new(file).is_absolute() {
                let _ = std::fs::remove_file(file);
            }
        }
    }
}

/// Where our pipe's socket is, which a server that is killed leaves.
fn npipe_path(name: &str) -> String {
    let name = npipe::PipeName::new(name);
    name.map_or(String::new(), |name| name.os_path().display().to_string())
}

fn measure(rounds: usize) -> Outcome<()> {
    for threads in ["current_thread", "multi_thread"] {
        let mut turns = Vec::new();
        for (index, subject) in SUBJECTS.iter().enumerate() {
            let server = Server::start(index, threads)?;
            let block = match subject {
                Ours | OursByTimers => client(PipeConnector::new(&server.1), "pipe"),
                Theirs => client(TheirConnector(server.1.clone()), "pipe"),
                Tcp => {
                    let mut tcp = HttpConnector::new();
                    tcp.set_nodelay(true);
                    client(tcp, &server.1)
                }
            };
            turns.push((server, subject.runtime(threads)?, block));
        }
        let run = |index: usize| -> Outcome<Duration> {
            let (_, runtime, block) = &turns[index];
            runtime.block_on(async { runtime.spawn(block()).await? })
        };
        for index in 0..turns.len() {
            run(index)?;
        }
        let mut times = vec![Vec::with_capacity(rounds); turns.len()];
        for round in 0..rounds {
            for turn in 0..turns.len() {
                let index = (round + turn) % turns.len();
                times[index].push(run(index)?.as_secs_f64() * 1e6);
            }
        }
        println!("{threads}: median of {rounds} blocks of {BLOCK} round trips");
        for (subject, its) in SUBJECTS.iter().zip(&times) {
            let ratio = its.iter().zip(&times[0]).map(|(its, first)| its / first);
            println!(
                "  {:20} {:8.1} us   {:.3} of {}",
                subject.title(),
                median(its.iter().copied()),
                median(ratio),
                SUBJECTS[0].title()
            );
        }
    }
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
