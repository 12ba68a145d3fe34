//! A short run of what `cargo xtask soak` does at length.

use npipe_interop::{Peer, watchdog};

#[test]
fn nothing_goes_wrong_in_thousands() {
    let _watchdog = watchdog();
    // Under Wine everything goes through its server.
    let count = if cfg!(windows) { "1000" } else { "10000" };
    let said = Peer::run(env!("CARGO_BIN_EXE_soak"), &[count]).finish();
    assert_eq!(said.last().unwrap(), "0 wrong in all", "{said:#?}");
}
