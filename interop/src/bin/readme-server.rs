//! The server in README.md, word for word.

include!(concat!(env!("OUT_DIR"), "/readme-server.rs"));
