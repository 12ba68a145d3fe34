//! What the tests of the async half share.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use npipe::ListenOptions;
use npipe::tokio::{PipeListener, PipeStream};
use tokio::runtime::{Builder, Runtime};

use super::name;

/// A listener, the server's end and the client's end of a new pipe.
pub async fn pair_of(options: &ListenOptions) -> (PipeListener, PipeStream, PipeStream) {
    let listener = options.bind_tokio(name("tokio")).unwrap();
    let path = listener.local_addr().os_path().to_owned();
    let (server, client) = tokio::join!(listener.accept(), PipeStream::connect(path));
    (listener, server.unwrap(), client.unwrap())
}

pub async fn pair() -> (PipeListener, PipeStream, PipeStream) {
    pair_of(&ListenOptions::new()).await
}

pub async fn message_pair() -> (PipeListener, PipeStream, PipeStream) {
    pair_of(&ListenOptions::new().message_mode(true)).await
}

/// Polls `future` so often at most, and lets others run in between; then it is dropped, and this is None.
pub async fn cut<T>(future: impl Future<Output = T>, polls: u32) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(done) = polled {
            return Some(done);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Numbers that look random and are the same every time.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Less than `end`.
    pub fn roll(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}

/// Both kinds of runtime.
pub fn runtimes() -> [Runtime; 2] {
    builders().map(|mut builder| drivers(&mut builder).build().unwrap())
}

/// Runs `case` in both kinds of runtime, with tokio's own I/O, for peers that need it.
pub fn with_io<F: Future<Output = ()>>(case: impl Fn() -> F) {
    for mut builder in builders() {
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(case());
        if cfg!(windows) {
            // Not closed, for the reason that `drivers` gives.
            std::mem::forget(runtime);
        }
    }
}

fn builders() -> [Builder; 2] {
    let mut several = Builder::new_multi_thread();
    several.worker_threads(2);
    [Builder::new_current_thread(), several]
}

/// What the tests' runtimes need. On Windows that is no I/O: the crate has its own port there, and of tokio's, which is closed
/// with its runtime, Wine 10's server may die (`Port` in src/sys/windows/os/port.rs says how).
pub fn drivers(builder: &mut Builder) -> &mut Builder {
    match cfg!(windows) {
        true => builder.enable_time(),
        false => builder.enable_all(),
    }
}
