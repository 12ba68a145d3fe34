//! The async half: what tasks have that threads do not. What both halves have is tested once for both.

#![cfg(feature = "tokio")]

mod common;

use std::future::Future;
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::tasks::{message_pair, pair};
use common::{name, pattern, watchdog};
use npipe::tokio::PipeListener;
use npipe::{CancelToken, ConnectOptions, PipeError, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;

#[test]
fn types_can_be_shared_between_tasks() {
    fn shared<T: Send + Sync + Unpin + std::fmt::Debug>() {}
    fn sent(_: impl Send) {}
    shared::<npipe::tokio::PipeListener>();
    shared::<npipe::tokio::PipeStream>();
    shared::<npipe::tokio::OwnedReadHalf>();
    shared::<npipe::tokio::OwnedWriteHalf>();
    shared::<npipe::tokio::Incoming<'_>>();
    sent(npipe::tokio::PipeStream::connect("never polled"));
    sent(ConnectOptions::new().connect_tokio("never polled"));
}

#[tokio::test]
async fn bytes_go_both_ways_at_once() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = pair().await;
    let bytes = Arc::new(pattern(1, 3 << 20));
    let (mut read, mut write) = client.into_split();
    let (mut back, mut forth) = server.into_split();
    let sent = bytes.clone();
    let writer = tokio::spawn(async move { write.write_all(&sent).await });
    let echo = tokio::spawn(async move { tokio::io::copy(&mut back, &mut forth).await });
    let mut received = vec![0; bytes.len()];
    read.read_exact(&mut received).await.unwrap();
    writer.await.unwrap().unwrap();
    // Not all pipes have half closes: the echo ends once both halves are gone.
    drop(read);
    echo.await.unwrap().unwrap();
    assert!(received == *bytes);
}

#[tokio::test]
async fn messages_keep_their_boundaries() {
    let _watchdog = watchdog(60);
    let (_listener, server, client) = message_pair().await;
    let long = pattern(2, 1 << 20);
    let sent = async {
        for message in [&b"one"[..], b"", &long, b"last"] {
            client.send(message).await.unwrap();
        }
    };
    let received = async {
        let mut all = Vec::new();
        for _ in 0..4 {
            let mut message = Vec::new();
            server.recv(&mut message).await.unwrap().unwrap();
            all.push(message);
        }
        all
    };
    let ((), all) = tokio::join!(sent, received);
    assert_eq!(all[0], b"one");
    assert_eq!(all[1], b"");
    assert!(all[2] == long);
    assert_eq!(all[3], b"last");
    drop(client);
    assert_eq!(server.recv(&mut Vec::new()).await.unwrap(), None);
}

#[tokio::test]
async fn close_ends_accept_and_incoming() {
    let _watchdog = watchdog(60);
    let name = name("close");
    let listener = PipeListener::bind(&name).unwrap();
    let mut incoming = listener.incoming();
    let (accepted, ended, ()) = tokio::join!(listener.accept(), incoming.next(), async {
        tokio::task::yield_now().await;
        listener.close();
    });
    let error = accepted.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert_eq!(PipeError::of(&error).unwrap().reason(), Reason::Closed);
    assert!(ended.is_none());
    PipeListener::bind(&name).unwrap();
}

#[tokio::test]
async fn a_token_ends_a_connect() {
    let _watchdog = watchdog(60);
    let token = CancelToken::new();
    let options = ConnectOptions::new()
        .no_timeout()
        .wait_for_server(true)
        .cancel(&token);
    let (connected, ()) = tokio::join!(options.connect_tokio(name("nobody")), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        token.cancel();
    });
    assert_eq!(connected.unwrap_err().kind(), ErrorKind::ConnectionAborted);
}

/// At once, and not when it looks up by itself the next time.
#[tokio::test]
async fn a_token_wakes_the_task_that_connects() {
    #[derive(Default)]
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let token = CancelToken::new();
    let options = ConnectOptions::new()
        .no_timeout()
        .wait_for_server(true)
        .cancel(&token);
    let mut connect = Box::pin(options.connect_tokio(name("nobody")));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    assert!(
        connect
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    // The drivers of this runtime are not run meanwhile: nobody else can wake it.
    assert!(!woken.0.load(Ordering::SeqCst));
    token.cancel();
    assert!(woken.0.load(Ordering::SeqCst));
    let error = connect.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
}

#[test]
fn outside_a_runtime_it_is_an_error() {
    let error = PipeListener::bind(name("no-runtime")).unwrap_err();
    assert_eq!(PipeError::of(&error).unwrap().reason(), Reason::NoRuntime);
}

/// More of them than one call takes, too: then there is room for what follows.
#[tokio::test]
async fn several_buffers_are_written_by_one_call() {
    let _watchdog = watchdog(60);
    let (_listener, mut server, mut client) = pair().await;
    let (head, body) = (pattern(1, 16), pattern(2, 4000));
    let slices = [&[][..], &head, &[], &body].map(IoSlice::new);
    assert_eq!(client.write_vectored(&slices).await.unwrap(), 4016);
    assert_eq!(client.write_vectored(&[]).await.unwrap(), 0);
    let mut got = vec![0; 4016];
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(got, [head, body].concat());
    let many = [IoSlice::new(&[7]); 3000];
    let mut written = 0;
    while written < 4000 {
        written += client.write_vectored(&many).await.unwrap();
    }
    let mut got = vec![0; written];
    server.read_exact(&mut got).await.unwrap();
    assert!(got.iter().all(|&byte| byte == 7));
}
