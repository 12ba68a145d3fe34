//! What the programs of `src/bin` share.

use std::io::Read;

/// `interop/proto/talk.proto`.
pub mod talk {
    tonic::include_proto!("talk");
}

pub mod rpc;

/// Ready once the program is to end: Ctrl-C, or the end of its standard input where somebody drives it.
pub async fn told_to_end() {
    let (told, is_told) = tokio::sync::oneshot::channel();
    // Standard input has no other way to be waited for; the thread ends with the program.
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = told.send(());
    });
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = is_told => {}
    }
}

#[doc = include_str!("../../docs/frameworks.md")]
#[cfg(doctest)]
struct Document;
