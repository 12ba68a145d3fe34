//! The path of the async half is as short as that of tokio's own sockets: as many system calls a round trip, as strace
//! counts them.

#![cfg(target_os = "linux")]

use npipe_interop::system_calls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

const ROLE: &str = "NPIPE_TEST_ROLE";
const ROUNDS: u64 = 1000;
/// What two programs differ by that do the same.
const BESIDE: u64 = 50;

async fn trips(
    server: impl AsyncRead + AsyncWrite + Unpin,
    client: impl AsyncRead + AsyncWrite + Unpin,
) {
    let (mut server, mut client) = (server, client);
    let echo = async {
        let mut word = [0; 64];
        for _ in 0..ROUNDS {
            server.read_exact(&mut word).await.unwrap();
            server.write_all(&word).await.unwrap();
        }
    };
    let ask = async {
        let mut word = [1; 64];
        for _ in 0..ROUNDS {
            client.write_all(&word).await.unwrap();
            client.read_exact(&mut word).await.unwrap();
        }
    };
    tokio::join!(echo, ask);
}

/// No test: what strace looks at.
#[test]
#[ignore = "the other half of the test in this file, which starts it"]
fn role() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        if role == "ours" {
            let (server, client) = npipe::tokio::PipeStream::pair().unwrap();
            trips(server, client).await;
        } else {
            let (server, client) = UnixStream::pair().unwrap();
            trips(server, client).await;
        }
    });
}

/// How many system calls a role makes, the threads of the test itself left out.
fn calls(role: &str) -> u64 {
    let calls = system_calls(ROLE, role);
    calls["total"] - calls.get("futex").unwrap_or(&0)
}

#[test]
#[cfg_attr(not(strace), ignore = "left out: there is no strace to count with")]
fn a_task_makes_no_more_calls_than_with_tokios_own_sockets() {
    let (ours, theirs) = (calls("ours"), calls("theirs"));
    assert!(theirs >= 4 * ROUNDS, "{theirs}");
    assert!(ours <= theirs + BESIDE, "{ours} and {theirs}");
}
