//! What passes over one connection, and every way in which it can end.

use crate::case::{CASE, Case, Step};
use crate::who::{HALF_CLOSE, Side, Who};

/// A test for each of the peers that a case is for.
macro_rules! cases {
    ($($(#[$meta:meta])* $name:ident [$($peer:ident)+] $case:expr;)+) => {
        $($(#[$meta])* mod $name {
            use super::*;
            const THIS: Case = $case;
            $(cases! { @ $peer })+
        })+
    };
    (@ dotnet) => { with! { dotnet fn with_dotnet() { THIS.play(Who::Dotnet); } } };
    (@ go) => { with! { go fn with_go() { THIS.play(Who::Go); } } };
    (@ node) => { with! { node fn with_node() { THIS.play(Who::Node); } } };
}

use Step::*;

cases! {
    lines_pass_as_they_are_typed [dotnet go node] Case {
        peer: &["hear", "say=Hello from there", "hear"],
        steps: &[
            Type("Hello from npipe"),
            Says("heard Hello from npipe"),
            Prints("Hello from there"),
            Type("npipe is done"),
            Says("heard npipe is done"),
            Finishes(&[]),
            // The peer has closed, with stdin still open.
            Ends,
        ],
        ..CASE
    };

    sixty_four_mebibytes_pass_both_ways_bit_for_bit [dotnet go node] Case {
        peer: &["exchange=67108864"],
        duplex: true,
        buffers: true,
        steps: &[
            Feed(64 << 20),
            Reads(64 << 20),
            Ends,
            Finishes(&["wrote 67108864", "read 67108864"]),
        ],
        ..CASE
    };

    a_peer_that_closes_first_ends_it_with_stdin_still_open [dotnet go node] Case {
        peer: &["read=1000", "write=300000", "close"],
        steps: &[
            Give(1000),
            Reads(300_000),
            Ends,
            Says("read 1000"),
            Says("wrote 300000"),
            Finishes(&[]),
        ],
        ..CASE
    };

    stdin_ends_first_and_the_answer_still_comes [dotnet] Case {
        peer: if HALF_CLOSE {
            &["read=100000", "end", "pause", "write=1000000"]
        } else {
            &["read=100000", "pause", "write=1000000"]
        },
        steps: &[
            Feed(100_000),
            Says("read 100000"),
            SaysOnHalfClose("the end"),
            // All of stdin has long passed, and its end with it.
            Runs,
            Go,
            Reads(1_000_000),
            Ends,
            Says("wrote 1000000"),
            Finishes(&[]),
        ],
        ..CASE
    };

    stdin_ends_at_once_and_the_answer_still_comes [dotnet] Case {
        peer: if HALF_CLOSE {
            &["read=0", "end", "pause", "write=1000000"]
        } else {
            &["read=0", "pause", "write=1000000"]
        },
        steps: &[
            Feed(0),
            Says("read 0"),
            SaysOnHalfClose("the end"),
            Runs,
            Go,
            Reads(1_000_000),
            Ends,
            Says("wrote 1000000"),
            Finishes(&[]),
        ],
        ..CASE
    };

    both_end_at_once_and_nothing_is_lost [dotnet] Case {
        sides: &[Side::Listen],
        peer: &["exchange=200001"],
        duplex: true,
        steps: &[Feed(200_001), Reads(200_001), Ends, Finishes(&["read 200001"])],
        ..CASE
    };

    exit_on_eof_ends_once_everything_has_been_read [dotnet] Case {
        peer: &["say=go ahead", "pause", "read=300000", "end"],
        options: &["--exit-on-eof"],
        steps: &[
            Prints("go ahead"),
            Feed(300_000),
            // Nothing has been read yet, and it does not end before all of it has.
            Runs,
            Go,
            Says("read 300000"),
            // It ends by itself: .NET is still there, and sees the end of the pipe only then.
            Says("the end"),
            Ends,
            Finishes(&[]),
        ],
        ..CASE
    };

    exit_on_eof_ends_once_a_single_byte_has_been_read [dotnet] Case {
        peer: &["say=go ahead", "pause", "read=1", "end"],
        options: &["--exit-on-eof"],
        steps: &[
            Prints("go ahead"),
            Feed(1),
            Runs,
            Go,
            Says("read 1"),
            Says("the end"),
            Ends,
            Finishes(&[]),
        ],
        ..CASE
    };

    a_peer_closes_with_our_bytes_unread_and_its_own_arrive [dotnet] Case {
        peer: &["read=1", "say=read this", "pause", "close"],
        buffers: true,
        steps: &[
            // It reads the first of them: so all of them have been written.
            Give(1000),
            Says("read 1"),
            Prints("read this"),
            Go,
            Says("closed"),
            Ends,
            Finishes(&[]),
        ],
        ..CASE
    };

    a_peer_that_is_killed_while_it_is_written_to_is_a_failure [dotnet] Case {
        peer: &["read=1000", "pause"],
        steps: &[Flood, Says("read 1000"), Kill, Fails(1, "write to")],
        ..CASE
    };

    /// Message pipes have a half close: the empty message.
    #[cfg(windows)]
    stdins_end_is_the_empty_message_of_a_message_pipe [dotnet] Case {
        sides: &[Side::Connect],
        peer: MESSAGES,
        steps: ANSWERED,
        ..CASE
    };

    #[cfg(windows)]
    stdins_end_is_the_empty_message_of_raw_messages [dotnet] Case {
        peer: MESSAGES,
        options: &["--message=raw"],
        steps: ANSWERED,
        ..CASE
    };

    /// A Windows byte pipe has no half close.
    #[cfg(unix)]
    a_half_close_leaves_the_other_way_open [node] Case {
        peer: &["write=50000", "half-close", "read=300000", "end"],
        steps: &[
            Reads(50_000),
            // Whoever reads our stdout sees the end as well, before stdin has begun.
            Prints(""),
            Feed(300_000),
            Says("wrote 50000"),
            Says("read 300000"),
            Says("the end"),
            Ends,
            Finishes(&[]),
        ],
        ..CASE
    };
}

#[cfg(windows)]
const MESSAGES: &[&str] = &["message", "read=100000", "hear", "say=the answer"];

#[cfg(windows)]
const ANSWERED: &[Step] = &[
    Feed(100_000),
    Says("read 100000"),
    Says("heard the end"),
    Prints("the answer"),
    Ends,
    Finishes(&[]),
];
