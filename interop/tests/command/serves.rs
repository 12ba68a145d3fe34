//! The command with one after another, and with many at once.

use npipe_interop::{name, watchdog};

use crate::npipe::Npipe;
use crate::who::Who;

with_dotnet! {
    both_end_at_once_again_and_again_and_nothing_is_lost,
    keep_serves_one_dotnet_client_after_another,
}

fn both_end_at_once_again_and_again_and_nothing_is_lost() {
    const COUNT: usize = 200_001;
    const ROUNDS: usize = 5;
    let exchange = format!("exchange={COUNT}");
    let pipe = name("both-end");
    let words = ["times=5", "async", "in=4096", "out=4096", &exchange];
    let server = Who::Dotnet.peer("serve", &pipe, &words).leaving(&pipe);
    for _ in 0..ROUNDS {
        server.expect("ready");
        let mut npipe = Npipe::start(&["connect", &pipe]);
        let feeding = npipe.feed(COUNT);
        npipe.expect_pattern(COUNT);
        npipe.end_of_output();
        feeding.join().unwrap();
        server.expect("connected");
        let mut done = [server.line().unwrap(), server.line().unwrap()];
        done.sort();
        assert_eq!(done, [format!("read {COUNT}"), format!("wrote {COUNT}")]);
    }
    server.finish();
}

fn keep_serves_one_dotnet_client_after_another() {
    const CLIENTS: usize = 4;
    let pipe = name("keep");
    let mut npipe = Npipe::serve(&["listen", "--keep", "-v", &pipe], &pipe);
    let words = ["times=4", "timeout=60000", "say=one of four", "hear"];
    let clients = Who::Dotnet.peer("connect", &pipe, &words);
    for _ in 0..CLIENTS {
        assert_eq!(npipe.line(), "one of four");
        npipe.write(b"for you\n");
        npipe.wait_until_it_says("is done");
    }
    let said = clients.finish();
    let heard = said.iter().filter(|line| *line == "heard for you").count();
    assert_eq!(heard, CLIENTS, "{said:?}");
    assert!(npipe.is_running());
}

/// `listen --echo`, with clients who compare what comes back.
fn is_echoed(who: Who, words: &[&str], read: &str, clients: usize) {
    let _watchdog = watchdog();
    let pipe = name("echo");
    let _npipe = Npipe::serve(&["listen", "--echo", &pipe], &pipe);
    let said = who.peer("connect", &pipe, words).finish();
    let good = said.iter().filter(|line| *line == read).count();
    assert_eq!(good, clients, "{said:?}");
}

with! { dotnet fn many_dotnet_clients_are_echoed_at_once() {
    let words = ["async", "times=20", "timeout=60000", "exchange=200000"];
    is_echoed(Who::Dotnet, &words, "read 200000", 20);
} }

with! { node fn node_is_echoed() {
    is_echoed(Who::Node, &["exchange=300000"], "read 300000", 1);
} }

with! { go fn go_is_echoed() {
    is_echoed(Who::Go, &["exchange=300000"], "read 300000", 1);
} }
