//! `npipe relay` between the stacks that other languages have for HTTP, gRPC and JSON-RPC: many connections at once,
//! streams in both directions, answers that take a while.

use npipe_interop::{Stack, name, watchdog};

use crate::npipe::Npipe;

/// A conversation of one protocol, and what its client prints.
struct Conversation {
    deeds: &'static [&'static str],
    lines: &'static [&'static str],
}

const HTTP: Conversation = Conversation {
    deeds: &["keep=5", "echo=300000", "many=40", "get=/slow?ms=50"],
    lines: &[
        "5 of 5 over 1 connections",
        "echoed 300000",
        "40 of 40",
        "200 slow",
    ],
};

const GRPC: Conversation = Conversation {
    deeds: &[
        "say=there",
        "say=",
        "count=100",
        "chat=10",
        "streams=20",
        "deadline=200",
        "cancel=3",
    ],
    lines: &[
        "said Hello, there",
        "status 3 say something",
        "counted 100",
        "chatted 10",
        "streamed 20",
        "status 4",
        "status 1",
    ],
};

const JSON_RPC: Conversation = Conversation {
    deeds: &[
        "add=2,3",
        "add=2,two",
        "work=2",
        "cancel=3",
        "many=50",
        "unknown",
        "exit",
        "end",
    ],
    lines: &[
        "sum 5",
        "error -32602",
        "progress 1 of 2",
        "progress 2 of 2",
        "worked 2",
        "error -32800",
        "50 of 50",
        "error -32601",
        "the end",
    ],
};

impl Conversation {
    #[track_caller]
    fn between(&self, client: Stack, server: Stack) {
        let _watchdog = watchdog();
        let (front, behind) = (name("front"), name("behind"));
        let mut server = server.serve(&behind, &[]);
        let _relay = Npipe::serve(&["relay", &front, &behind], &front);
        let said = client.connect(&front, self.deeds).finish();
        assert_eq!(said, self.lines);
        server.end_input();
        server.finish();
    }
}

/// Tests of pairs, which need what is named.
macro_rules! pairs {
    ($($name:ident [$($need:ident),+] $conversation:ident, $client:ident, $server:ident;)+) => {
        $(
            #[test]
            #[cfg_attr(
                not(all($($need),+)),
                ignore = "left out: a peer of it is not here; `cargo xtask test` sets it up"
            )]
            fn $name() {
                $conversation.between(Stack::$client, Stack::$server);
            }
        )+
    };
}

pairs! {
    http_between_dotnet_and_node [dotnet, node] HTTP, DotnetHttp, NodeHttp;
    http_between_dotnet_and_go [dotnet, go] HTTP, DotnetHttp, GoHttp;
    http_between_node_and_go [node, go] HTTP, NodeHttp, GoHttp;
    http_between_go_and_node [node, go] HTTP, GoHttp, NodeHttp;
    grpc_between_dotnet_and_go [dotnet, go] GRPC, DotnetGrpc, GoGrpc;
    grpc_between_node_and_go [node_modules, go] GRPC, NodeGrpc, GoGrpc;
    grpc_between_go_and_node [node_modules, go] GRPC, GoGrpc, NodeGrpc;
    json_rpc_between_dotnet_and_node [dotnet, node_modules] JSON_RPC, DotnetJsonRpc, NodeJsonRpc;
    json_rpc_between_node_and_dotnet [dotnet, node_modules] JSON_RPC, NodeJsonRpc, DotnetJsonRpc;
}
