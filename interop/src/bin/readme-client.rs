//! The client in README.md, word for word.

include!(concat!(env!("OUT_DIR"), "/readme-client.rs"));
