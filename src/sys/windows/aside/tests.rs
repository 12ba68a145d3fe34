//! What is given up, and who lets go of it.

use super::*;
use crate::{PipeListener, PipeStream};

#[test]
fn work_that_has_not_begun_is_taken_back_at_once() {
    const MANY: usize = 80;
    let name = format!("npipe-aside-{}", std::process::id());
    let listener = PipeListener::bind(&name).unwrap();
    let pairs = (0..MANY).map(|_| {
        let client = PipeStream::connect(&name).unwrap();
        io::Write::write_all(&mut &client, b"unread").unwrap();
        (listener.accept().unwrap(), client)
    });
    let pairs: Vec<_> = pairs.collect();
    let flushes = pairs
        .iter()
        .map(|(_, client)| Flush::start(client.io().handle(), || ()).unwrap());
    let flushes: Vec<_> = flushes.collect();
    let tickets = flushes.iter().map(|flush| Arc::downgrade(&flush.0));
    let tickets: Vec<_> = tickets.collect();
    drop(flushes);
    let there = tickets.iter().filter(|it| it.strong_count() > 0).count();
    assert!(there <= WORKERS, "{there} are there still");
}
