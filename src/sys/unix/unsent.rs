//! Messages of which a part has gone, and nobody waits for the rest: a task's call was dropped, or has to be made again.

use std::io;
use std::task::Poll;

use super::packets::Sending;
use super::stream::Stream;

/// The one message of a stream that has gone in part. What is sent next comes after the rest of it, since the peer would take
/// it for that rest.
#[derive(Debug, Default)]
pub(super) struct Unsent(Option<(Vec<u8>, Sending)>);

impl Unsent {
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Sends the rest.
    pub(super) fn go_on(&mut self, stream: &Stream) -> Poll<io::Result<()>> {
        let Some((message, sending)) = &mut self.0 else {
            return Poll::Ready(Ok(()));
        };
        let gone = stream.try_send(sending, message);
        if gone.is_ready() {
            self.0 = None;
        }
        gone.map_ok(|_| ())
    }

    /// Sends `message`, as far as there is room, behind what an earlier one has left. A write that has to wait has written
    /// nothing, as far as its caller knows, and is made again: then this goes on with it.
    pub(super) fn send(&mut self, stream: &Stream, message: &[u8]) -> Poll<io::Result<usize>> {
        if self.0.as_ref().is_some_and(|(left, _)| left == message) {
            return self.go_on(stream).map_ok(|()| message.len());
        }
        if self.go_on(stream)?.is_pending() {
            return Poll::Pending;
        }
        let mut sending = Sending::new();
        let gone = stream.try_send(&mut sending, message);
        if gone.is_pending() {
            self.keep(stream, message, sending)?;
        }
        gone.map_ok(|part| part.len)
    }

    /// Keeps what is left of a message, if a part of it has gone.
    pub(super) fn keep(
        &mut self,
        stream: &Stream,
        message: &[u8],
        sending: Sending,
    ) -> io::Result<()> {
        if !sending.is_torn() {
            return Ok(());
        }
        let mut left = Vec::new();
        if left.try_reserve_exact(message.len()).is_err() {
            // What follows would be taken for its rest, and is refused.
            stream.give_up(&sending);
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        left.extend_from_slice(message);
        self.0 = Some((left, sending));
        Ok(())
    }
}
