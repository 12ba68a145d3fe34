//! Both halves of a subject whose calls are awaited, on tokio.

use std::future::Future;
use std::io;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;

use crate::protocol::{self, Command, REQUEST, Request};
use crate::work::{nanos, summary};

/// Pipes of some kind. On a message pipe a write is a message, and a read is one or a part of one.
pub trait AsyncPipes: Clone + Send + Sync + 'static {
    type Listener: Send + 'static;
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Called inside the runtime.
    fn bind(&self, address: &str) -> io::Result<Self::Listener>;
    fn accept(
        &self,
        listener: &mut Self::Listener,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn connect(&self, address: &str) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// How a program has its tasks run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tasks {
    /// On a runtime of several threads, not of one.
    pub several: bool,
    /// The client is what `block_on` runs, as the body of `#[tokio::main]` is, and no task.
    pub main: bool,
    /// The runtime has timers, and no I/O driver.
    pub timers_alone: bool,
}

impl Tasks {
    pub fn runtime(self) -> io::Result<Runtime> {
        let mut builder = if self.several {
            Builder::new_multi_thread()
        } else {
            Builder::new_current_thread()
        };
        if self.timers_alone {
            builder.enable_time().build()
        } else {
            builder.enable_all().build()
        }
    }

    /// Runs what a client does.
    fn run<T: Send + 'static>(
        self,
        runtime: &Runtime,
        work: impl Future<Output = T> + Send + 'static,
    ) -> io::Result<T> {
        if self.main {
            return Ok(runtime.block_on(work));
        }
        let task = runtime.spawn(work);
        runtime.block_on(task).map_err(io::Error::other)
    }
}

pub fn serve<P: AsyncPipes>(runtime: &Runtime, pipes: P, address: &str) -> io::Result<()> {
    let address = address.to_owned();
    protocol::end_with_input();
    let serving = runtime.spawn(async move {
        let mut listener = pipes.bind(&address)?;
        protocol::say("ready")?;
        loop {
            let mut stream = pipes.accept(&mut listener).await?;
            // A client that goes away in the middle is the harness's to tell of.
            tokio::spawn(async move {
                let _ = answer(&mut stream).await;
            });
        }
    });
    runtime
        .block_on(serving)
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    let mut request = [0; REQUEST];
    let mut piece = Vec::new();
    while stream.read_exact(&mut request).await.is_ok() {
        match Request::decode(&request)? {
            Request::Echo { size, count } => {
                piece.resize(size, 0);
                for _ in 0..count {
                    stream.read_exact(&mut piece).await?;
                    stream.write_all(&piece).await?;
                }
            }
            Request::Sink { size, count } => {
                piece.resize(size, 0);
                let mut left = size as u64 * count;
                while left > 0 {
                    match stream.read(&mut piece).await? {
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        length => left = left.saturating_sub(length as u64),
                    }
                }
                stream.write_all(&[0]).await?;
            }
            Request::Ping => stream.write_all(&[0]).await?,
        }
    }
    Ok(())
}

pub fn work<P: AsyncPipes>(
    runtime: &Runtime,
    tasks: Tasks,
    pipes: P,
    address: &str,
) -> io::Result<()> {
    let connecting = {
        let (pipes, address) = (pipes.clone(), address.to_owned());
        async move { pipes.connect(&address).await }
    };
    let mut kept = Some(tasks.run(runtime, connecting)??);
    let mut idle = Vec::new();
    protocol::obey(|command| {
        let (pipes, address) = (pipes.clone(), address.to_owned());
        match command {
            Command::Trip { .. } | Command::Write { .. } => {
                let mut stream = kept
                    .take()
                    .ok_or_else(|| io::Error::other("the connection was lost before"))?;
                let (stream, took) = tasks.run(runtime, async move {
                    let took = match command {
                        Command::Trip { size, count } => trips(&mut stream, size, count).await,
                        Command::Write { size, count } => writes(&mut stream, size, count).await,
                        _ => Ok(0),
                    };
                    (stream, took)
                })?;
                kept = Some(stream);
                Ok(vec![took?])
            }
            Command::Connect { count } => tasks.run(runtime, async move {
                let began = Instant::now();
                for _ in 0..count {
                    ping(&mut pipes.connect(&address).await?).await?;
                }
                Ok(vec![nanos(began, Instant::now())])
            })?,
            Command::Storm { clients, rounds } => {
                tasks.run(runtime, storm(pipes, address, clients, rounds))?
            }
            Command::Idle { count } => {
                idle.clear();
                idle = tasks.run(runtime, async move {
                    let mut idle = Vec::new();
                    for _ in 0..count {
                        let mut stream = pipes.connect(&address).await?;
                        ping(&mut stream).await?;
                        idle.push(stream);
                    }
                    io::Result::Ok(idle)
                })??;
                Ok(vec![0])
            }
        }
    })
}

async fn trips(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    size: usize,
    count: u64,
) -> io::Result<u64> {
    let mut piece = vec![b'x'; size];
    stream
        .write_all(&Request::Echo { size, count }.encode())
        .await?;
    let began = Instant::now();
    for _ in 0..count {
        stream.write_all(&piece).await?;
        stream.read_exact(&mut piece).await?;
    }
    Ok(nanos(began, Instant::now()))
}

async fn writes(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    size: usize,
    count: u64,
) -> io::Result<u64> {
    let piece = vec![b'x'; size];
    stream
        .write_all(&Request::Sink { size, count }.encode())
        .await?;
    let began = Instant::now();
    for _ in 0..count {
        stream.write_all(&piece).await?;
    }
    stream.read_exact(&mut [0]).await?;
    Ok(nanos(began, Instant::now()))
}

async fn ping(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    stream.write_all(&Request::Ping.encode()).await?;
    stream.read_exact(&mut [0]).await?;
    Ok(())
}

async fn storm<P: AsyncPipes>(
    pipes: P,
    address: String,
    clients: usize,
    rounds: usize,
) -> io::Result<Vec<u64>> {
    let barrier = std::sync::Arc::new(Barrier::new(clients));
    let mut tasks = Vec::with_capacity(clients);
    for _ in 0..clients {
        let (pipes, address, barrier) = (pipes.clone(), address.clone(), barrier.clone());
        tasks.push(tokio::spawn(async move {
            let mut times = Vec::with_capacity(rounds);
            let mut failed = None;
            for _ in 0..rounds {
                barrier.wait().await;
                let began = Instant::now();
                let once = async {
                    let mut stream = pipes.connect(&address).await?;
                    let connected = Instant::now();
                    ping(&mut stream).await?;
                    io::Result::Ok([began, connected, Instant::now()])
                };
                match once.await {
                    Ok(time) => times.push(time),
                    Err(error) => failed = Some(error),
                }
                // Nobody begins the next round before all have ended this one.
                barrier.wait().await;
            }
            failed.map_or(Ok(times), Err)
        }));
    }
    let mut all = Vec::with_capacity(clients);
    for task in tasks {
        all.push(task.await??);
    }
    Ok(summary(&all, rounds))
}
