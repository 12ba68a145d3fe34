//! What .NET throws, as docs/from-dotnet.md tells it. What npipe fails with in its place is in `tests/errors.rs`.

use npipe_interop::{Dotnet, name, watchdog};

/// The case, and the exception on Windows and on Unix: see `interop/csharp/Exceptions.cs`.
const CASES: [(&str, &str, &str); 16] = [
    ("no server comes", "TimeoutException", "TimeoutException"),
    (
        "a token ends Connect",
        "OperationCanceledException",
        "OperationCanceledException",
    ),
    (
        "a token ends WaitForConnection",
        "OperationCanceledException",
        "OperationCanceledException",
    ),
    ("the name is taken", "IOException", "IOException"),
    (
        "the access is denied",
        "UnauthorizedAccessException",
        "nothing",
    ),
    (
        "a name that is none",
        "ArgumentException",
        "ArgumentException",
    ),
    (
        "not connected yet",
        "InvalidOperationException",
        "InvalidOperationException",
    ),
    (
        "a client's second Connect",
        "InvalidOperationException",
        "InvalidOperationException",
    ),
    (
        "a byte pipe has no messages",
        "InvalidOperationException",
        "InvalidOperationException",
    ),
    (
        "against the direction",
        "NotSupportedException",
        "NotSupportedException",
    ),
    (
        "disposed",
        "ObjectDisposedException",
        "ObjectDisposedException",
    ),
    ("the peer has gone", "IOException", "IOException"),
    (
        "a timeout of a read",
        "InvalidOperationException",
        "InvalidOperationException",
    ),
    ("message mode", "nothing", "PlatformNotSupportedException"),
    (
        "WaitForPipeDrain",
        "nothing",
        "PlatformNotSupportedException",
    ),
    (
        "NumberOfServerInstances",
        "nothing",
        "PlatformNotSupportedException",
    ),
];

#[test]
#[cfg_attr(
    not(dotnet),
    ignore = "left out: no .NET; `cargo xtask test` sets one up"
)]
fn dotnet_throws_what_the_guide_says() {
    let _watchdog = watchdog();
    let expected = CASES.map(|(case, windows, unix)| {
        let thrown = if cfg!(windows) { windows } else { unix };
        format!("{case}: {thrown}")
    });
    let pipe = name("exceptions");
    assert_eq!(
        Dotnet::first().example("Exceptions", &[&pipe]).finish(),
        expected
    );
}
