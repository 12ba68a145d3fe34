//! The async half, on two worker threads.

use std::io::ErrorKind;
use std::sync::Arc;

use npipe::tokio::{PipeListener, PipeStream};
use npipe::{ConnectOptions, ListenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::tally::{CLIENTS, Came, InOrder, PATIENCE, Result, bytes, check, name, random};

fn runtime() -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    Ok(builder.worker_threads(2).enable_all().build()?)
}

/// Every client is delivered, in the order in which it came, with all that it wrote.
pub fn leave(count: u64) -> Result<()> {
    by_mode(count, async |count, listener, name| {
        let clients = (0..CLIENTS).map(|client| {
            let name = name.clone();
            tokio::spawn(async move {
                for at in (client..count).step_by(CLIENTS as usize) {
                    let written = async {
                        let mut stream = connect(&name).await?;
                        stream.write_all(&bytes(at)).await?;
                        Ok(())
                    };
                    check(written.await);
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        let mut order = InOrder::from_the_first();
        for _ in 0..count {
            let got = read_all(timeout(PATIENCE, listener.accept()).await??).await;
            check(got.and_then(|got| order.take(&got)));
        }
        for client in clients {
            client.await?;
        }
        Ok(())
    })
}

/// What was written to a stream that is dropped at once arrives.
pub fn dropped(count: u64) -> Result<()> {
    by_mode(count, async |count, listener, name| {
        let came = Arc::new(Came::none_of(count));
        let clients = (0..CLIENTS).map(|client| {
            let (name, came) = (name.clone(), Arc::clone(&came));
            tokio::spawn(async move {
                for _ in (client..count).step_by(CLIENTS as usize) {
                    let got = async { read_all(connect(&name).await?).await };
                    check(got.await.and_then(|got| came.take(&got)));
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        for at in 0..count {
            let mut stream = timeout(PATIENCE, listener.accept()).await??;
            check(stream.write_all(&bytes(at)).await.map_err(Into::into));
        }
        for client in clients {
            client.await?;
        }
        came.all()
    })
}

/// A close ends every accept, whenever it comes, and whoever learns of it finds the name free.
pub fn closes(count: u64) -> Result<()> {
    let name = name();
    runtime()?.block_on(async {
        for at in 0..count {
            let listener = Arc::new(PipeListener::bind(&name)?);
            // Whether the one that accepts is to take the name, or the one that closes.
            let takes = at % 2 == 0;
            let accepting = tokio::spawn({
                let (listener, name) = (Arc::clone(&listener), name.clone());
                async move {
                    let ended = loop {
                        match listener.accept().await {
                            Ok(_client) => {}
                            Err(error) => break error,
                        }
                    };
                    if ended.kind() != ErrorKind::ConnectionAborted {
                        return Err(ended);
                    }
                    if takes {
                        PipeListener::bind(&name)?;
                    }
                    Ok(())
                }
            });
            let once = async || -> Result<()> {
                if at % 4 == 1 {
                    PipeStream::connect(&name).await?;
                }
                for _ in 0..random() % 10 {
                    yield_now().await;
                }
                listener.close();
                if !takes {
                    PipeListener::bind(&name)?;
                }
                Ok(())
            };
            let closed = once().await;
            let accepted = timeout(PATIENCE, accepting).await??;
            check(closed.and(accepted.map_err(Into::into)));
        }
        Ok(())
    })
}

/// Three quarters of it on a byte pipe, and one on a message pipe where the system has them.
fn by_mode(
    count: u64,
    part: impl AsyncFn(u64, &PipeListener, &String) -> Result<()>,
) -> Result<()> {
    let name = name();
    runtime()?.block_on(async {
        let bytes = PipeListener::bind(&name)?;
        part(count - count / 4, &bytes, &name).await?;
        drop(bytes);
        let options = ListenOptions::new().message_mode(true);
        match options.bind_tokio(&name) {
            Ok(messages) => part(count / 4, &messages, &name).await,
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
            Err(error) => Err(error.into()),
        }
    })
}

async fn connect(name: &str) -> Result<PipeStream> {
    let options = ConnectOptions::new().timeout(PATIENCE);
    Ok(options.connect_tokio(name).await?)
}

async fn read_all(mut stream: PipeStream) -> Result<Vec<u8>> {
    let mut all = Vec::with_capacity(16);
    stream.read_to_end(&mut all).await?;
    Ok(all)
}
