//! The writing direction: at most one write is in the system, of a copy that the stream owns until it is out.

use std::io;
use std::task::{Poll, Waker};

use super::reading::Failed;
use super::system::Sink;
use super::wakers::{Wakers, Who, Woken};

#[derive(Clone, Debug)]
pub(crate) struct Writing<S> {
    sink: S,
    pending: bool,
    /// How many writes the system did not take at once.
    begun: u64,
    /// The first of them that failed: what every later call is told.
    failed: Option<(u64, Failed)>,
    waiting: Wakers,
    closed: bool,
}

/// How far the sending of one message is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sending(Option<u64>);

impl Sending {
    /// From then on it arrives, even if nobody waits for it any more.
    #[cfg(test)]
    pub(crate) fn has_begun(&self) -> bool {
        self.0.is_some()
    }
}

impl<S: Sink> Writing<S> {
    pub(crate) fn new(sink: S) -> Writing<S> {
        Writing {
            sink,
            pending: false,
            begun: 0,
            failed: None,
            waiting: Wakers::default(),
            closed: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn sink(&self) -> &S {
        &self.sink
    }

    pub(crate) fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Writes, or takes along, some of `bytes`. Pending: nothing of them.
    pub(crate) fn poll_write(
        &mut self,
        waiter: Option<(Who, &Waker)>,
        bytes: &[u8],
        woken: &mut Woken,
    ) -> Poll<io::Result<usize>> {
        if let Err(result) = self.clear_way(waiter, woken) {
            return result.map(Err);
        }
        let taken = self.sink.take(&bytes[..bytes.len().min(S::AHEAD)], false);
        match self.begin() {
            Poll::Ready(written) => Poll::Ready(written),
            Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    /// Sends a whole message. One of at most [`Sink::AHEAD`] bytes is copied; for a longer one the caller waits. Given up before
    /// it has begun it has not been sent; else it is, in its place.
    pub(crate) fn poll_send(
        &mut self,
        waiter: Option<(Who, &Waker)>,
        message: &[u8],
        sending: &mut Sending,
        woken: &mut Woken,
    ) -> Poll<io::Result<()>> {
        if let Some(number) = sending.0 {
            self.look(woken);
            if self.pending && self.begun == number {
                return self.wait(waiter);
            }
            return Poll::Ready(match self.failed {
                Some((failed, _)) if failed > number => Ok(()),
                _ => self.told(),
            });
        }
        if let Err(result) = self.clear_way(waiter, woken) {
            return result.map(Err);
        }
        self.sink.take(message, true);
        match self.begin() {
            Poll::Ready(written) => Poll::Ready(written.map(|_| ())),
            Poll::Pending if message.len() <= S::AHEAD => Poll::Ready(Ok(())),
            Poll::Pending => {
                sending.0 = Some(self.begun);
                self.wait(waiter)
            }
        }
    }

    /// Waits until the system has all.
    pub(crate) fn poll_flush(
        &mut self,
        waiter: Option<(Who, &Waker)>,
        woken: &mut Woken,
    ) -> Poll<io::Result<()>> {
        match self.clear_way(waiter, woken) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(result) => result.map(Err),
        }
    }

    /// A packet says that the write may be over.
    pub(crate) fn completed(&mut self, woken: &mut Woken) {
        self.look(woken);
    }

    pub(crate) fn forget(&mut self, who: Who) {
        self.waiting.remove(who);
    }

    /// The stream is gone. What was taken along still goes out, and holds the pipe until then.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        if !self.pending {
            self.sink.close();
        }
    }

    /// Whether the system holds none of its memory.
    pub(crate) fn is_clear(&self) -> bool {
        !self.pending
    }

    /// Ok: nothing is pending, and nothing has failed.
    fn clear_way(
        &mut self,
        waiter: Option<(Who, &Waker)>,
        woken: &mut Woken,
    ) -> Result<(), Poll<io::Error>> {
        self.look(woken);
        if self.pending {
            return Err(self.wait(waiter));
        }
        self.told().map_err(Poll::Ready)
    }

    fn told(&self) -> io::Result<()> {
        self.failed.map_or(Ok(()), |(_, failed)| Err(failed.into()))
    }

    fn begin(&mut self) -> Poll<io::Result<usize>> {
        let started = self.sink.start();
        if started.is_pending() {
            self.pending = true;
            self.begun += 1;
        }
        started
    }

    fn look(&mut self, woken: &mut Woken) {
        if !self.pending {
            return;
        }
        if let Poll::Ready(result) = self.sink.look() {
            self.pending = false;
            if let Err(error) = result {
                self.failed.get_or_insert((self.begun, error.into()));
            }
            self.waiting.wake_all(woken);
            if self.closed {
                self.sink.close();
            }
        }
    }

    fn wait<T>(&mut self, waiter: Option<(Who, &Waker)>) -> Poll<T> {
        if let Some((who, waker)) = waiter {
            self.waiting.add(who, waker);
        }
        Poll::Pending
    }
}
