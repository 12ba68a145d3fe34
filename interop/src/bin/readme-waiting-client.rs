//! The client that waits for its server in README.md, word for word.

include!(concat!(env!("OUT_DIR"), "/readme-waiting-client.rs"));
