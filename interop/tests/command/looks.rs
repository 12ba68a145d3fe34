//! What the command finds out of a server of .NET's, and whom it takes for one.

use npipe_interop::{Dotnet, name, watchdog};

use crate::npipe::{Npipe, run};
use crate::who::{Side, Who};

with_dotnet! {
    what_there_is_to_know_of_a_dotnet_server,
    a_name_that_dotnet_has_is_taken,
    connect_waits_for_a_dotnet_server,
    a_dotnet_server_that_is_not_the_expected_one_is_refused,
    either_half_of_the_demo_talks_with_csharp,
}

fn what_there_is_to_know_of_a_dotnet_server() {
    let pipe = name("info");
    // Looking without --connect takes neither of its two turns. Wine cannot look without.
    let server = Who::Dotnet
        .peer("serve", &pipe, &["times=2", "hear"])
        .leaving(&pipe);
    server.expect("ready");
    let compact = |text: String| text.replace([' ', '\n', '\r'], "");
    let looked = run(&["info", "--json", &pipe]);
    if cfg!(unix) {
        let looked = compact(looked.text());
        assert!(looked.contains("\"state\":\"live\""), "{looked}");
        assert!(looked.contains("\"connected\":false"), "{looked}");
    }
    let known = compact(run(&["info", "--connect", "--json", &pipe]).text());
    for part in [
        format!("\"name\":\"{pipe}\""),
        "\"state\":\"live\"".to_owned(),
        "\"connected\":true".to_owned(),
        "\"mode\":\"byte\"".to_owned(),
        format!("\"server_pid\":{}", server.id()),
    ] {
        assert!(known.contains(&part), "{part}: {known}");
    }
    server.expect("connected");
    server.expect("heard the end");
    server.expect("ready");
    let healthy = run(&["doctor", &pipe]).text();
    assert!(
        healthy.contains("its server takes connections"),
        "{healthy}"
    );
    assert!(
        healthy.contains(&format!("process {}", server.id())),
        "{healthy}"
    );
    server.expect("connected");
    server.expect("heard the end");
    server.finish();
    run(&["connect", &pipe]).code(3);
    run(&["doctor", &pipe]).code(3);
}

fn a_name_that_dotnet_has_is_taken() {
    let pipe = name("taken");
    let server = Who::Dotnet
        .peer("serve", &pipe, &["hear", "pause"])
        .leaving(&pipe);
    server.expect("ready");
    let taken = run(&["listen", &pipe]);
    assert_eq!(taken.remarks.len(), 1, "{taken:?}");
    taken.code(6);
    // And its owner has noticed nothing.
    let mut npipe = Npipe::start(&["connect", &pipe]);
    npipe.write(b"still yours\n");
    server.expect("connected");
    server.expect("heard still yours");
    if cfg!(windows) {
        // Its only instance is in use. On Unix the next one waits in the system's queue, and is connected.
        run(&["connect", "--timeout", "200ms", &pipe]).code(4);
    }
}

fn connect_waits_for_a_dotnet_server() {
    let pipe = name("later");
    let mut npipe = Npipe::start(&["connect", "--wait", "--timeout", "60s", &pipe]);
    let server = Who::Dotnet
        .peer("serve", &pipe, &["say=come in", "hear"])
        .leaving(&pipe);
    assert_eq!(npipe.line(), "come in");
    npipe.write(b"thanks\n");
    server.expect("ready");
    server.expect("connected");
    server.expect("heard thanks");
    server.finish();
    npipe.end_of_output();
}

fn a_dotnet_server_that_is_not_the_expected_one_is_refused() {
    let pipe = name("unexpected");
    let server = Who::Dotnet.peer("serve", &pipe, &["hear"]).leaving(&pipe);
    server.expect("ready");
    let other = if cfg!(unix) { "54321" } else { "S-1-5-19" };
    let refused = run(&["connect", "--expect-server", other, &pipe]);
    assert_eq!(refused.remarks.len(), 1, "{refused:?}");
    assert_eq!(refused.code(5), "");
}

#[test]
#[cfg_attr(
    windows,
    ignore = "left out: Wine 10 does not tell the owner of a pipe whose maker named none"
)]
#[cfg_attr(
    not(any(windows, dotnet)),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn a_dotnet_server_that_is_the_expected_one_is_taken() {
    let _watchdog = watchdog();
    let words = ["say=come in", "hear"];
    let (server, mut npipe) =
        Side::Connect.start(Who::Dotnet, &words, &["--expect-server", "current-user"]);
    assert_eq!(npipe.line(), "come in");
    npipe.write(b"thanks\n");
    server.expect("heard thanks");
    server.finish();
    npipe.end_of_output();
}

fn either_half_of_the_demo_talks_with_csharp() {
    for dotnet in Dotnet::all() {
        let pipe = name("demo");
        let mut half = Npipe::start(&["demo", "--as", "server", &pipe]).leaving(&pipe);
        assert_eq!(half.line(), "server | waits for a client");
        assert_eq!(dotnet.client(&pipe).finish(), ["Hello from Rust"]);
        for line in [
            "hears: Hello from C#",
            "says: Hello from Rust",
            "hears: C# is done",
        ] {
            assert_eq!(half.line(), format!("server | {line}"));
        }
        half.end_of_output();

        // The client may come first.
        let pipe = name("demo");
        let mut half = Npipe::start(&["demo", "--as", "client", &pipe]);
        assert_eq!(half.line(), "client | looks for a server");
        let server = dotnet.server(&pipe).leaving(&pipe);
        assert_eq!(server.finish(), ["Hello from Rust", "Rust is done"]);
        for line in [
            "says: Hello from Rust",
            "hears: Hello from C#",
            "says: Rust is done",
        ] {
            assert_eq!(half.line(), format!("client | {line}"));
        }
        half.end_of_output();
    }
}
