//! What a runtime leaves behind: nothing. Alone in its process, whose handles it counts.

#![cfg(feature = "tokio")]

mod common;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::tasks::runtimes;
use common::{name, timed, watchdog};
use npipe::tokio::{PipeListener, PipeStream};
use npipe::{ConnectOptions, ListenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

/// A thousand operations that never come to an end, in tasks of `runtime`; the blocking ends that they are the peers of.
fn thousand(runtime: &Runtime) -> Vec<npipe::PipeStream> {
    let mut peers = Vec::new();
    let blocking = |message: bool| {
        let options = ListenOptions::new().message_mode(message);
        let listener = options.bind(name("thousand")).unwrap();
        let client = npipe::PipeStream::connect(listener.local_addr().os_path()).unwrap();
        (listener.accept().unwrap(), client)
    };
    let started = Arc::new(AtomicU64::new(0));
    for at in 0..1000 {
        let started = started.clone();
        let begun = move || {
            started.fetch_add(1, Ordering::SeqCst);
        };
        let mut stream = |message| {
            let (ours, theirs) = blocking(message);
            peers.push(theirs);
            let _inside = runtime.enter();
            PipeStream::from_blocking(ours).unwrap()
        };
        match at % 6 {
            0 => {
                let mut stream = stream(false);
                runtime.spawn(async move {
                    begun();
                    stream.read_u8().await
                });
            }
            1 => {
                let mut stream = stream(false);
                runtime.spawn(async move {
                    begun();
                    stream.write_all(&vec![1; 4 << 20]).await
                });
            }
            2 => {
                let stream = stream(true);
                runtime.spawn(async move {
                    begun();
                    stream.recv(&mut Vec::new()).await
                });
            }
            3 => {
                let mut stream = stream(false);
                runtime.spawn(async move {
                    stream.write_u8(1).await.unwrap();
                    begun();
                    stream.wait_drained().await
                });
            }
            4 => {
                runtime.spawn(async move {
                    let listener = PipeListener::bind(name("idle")).unwrap();
                    begun();
                    listener.accept().await.map(drop)
                });
            }
            _ => {
                runtime.spawn(async move {
                    let options = ConnectOptions::new().no_timeout().wait_for_server(true);
                    begun();
                    options.connect_tokio(name("never")).await.map(drop)
                });
            }
        }
    }
    runtime.block_on(async {
        while started.load(Ordering::SeqCst) < 1000 {
            tokio::task::yield_now().await;
        }
        // Each has been polled once more since.
        tokio::time::sleep(Duration::from_millis(50)).await;
    });
    peers
}

#[cfg(target_os = "linux")]
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// How long it took to drop a runtime with all that.
fn goes(runtime: Runtime) -> Duration {
    let peers = thousand(&runtime);
    #[cfg(target_os = "linux")]
    let before = open_files();
    let ((), time) = timed(|| drop(runtime));
    // Nothing is left of the other ends.
    #[cfg(target_os = "linux")]
    {
        let after = open_files();
        assert!(after <= before - peers.len(), "{before} {after}");
    }
    // The peers see an end: what is there, and then no more.
    for mut peer in peers {
        let mut buffer = [0; 4096];
        while peer.read(&mut buffer).unwrap_or(0) > 0 {}
    }
    time
}

#[test]
fn a_runtime_that_is_dropped_goes_at_once_and_leaves_nothing() {
    let _watchdog = watchdog(240);
    // Wine's server closes everything, one handle after another.
    let limit = Duration::from_secs(if cfg!(windows) { 5 } else { 1 });
    for kind in 0..2 {
        // Up to three times: another program may have had the machine meanwhile.
        let times = (0..3).map(|_| {
            let [one, other] = runtimes();
            goes(if kind == 0 { one } else { other })
        });
        let mut slow = Vec::new();
        for time in times {
            if time < limit {
                slow.clear();
                break;
            }
            slow.push(time);
        }
        assert!(slow.is_empty(), "never within {limit:?}: {slow:?}");
    }
}
