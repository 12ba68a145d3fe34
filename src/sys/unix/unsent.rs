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
        let mut sending = match self.0.take() {
            Some((left, sending)) if left == message => sending,
            left => {
                self.0 = left;
                if self.go_on(stream)?.is_pending() {
                    return Poll::Pending;
                }
                Sending::new()
            }
        };
        let gone = stream.try_send(&mut sending, message);
        if gone.is_pending() && sending.is_torn() {
            let mut left = Vec::new();
            if left.try_reserve_exact(message.len()).is_err() {
                stream.give_up(&sending);
                return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
            }
            left.extend_from_slice(message);
            self.0 = Some((left, sending));
        }
        gone.map_ok(|part| part.len)
    }
}
