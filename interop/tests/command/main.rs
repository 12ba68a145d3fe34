//! The command, `npipe`, with .NET, Go and Node at the other end: what passes, and every way in which it can end.
//!
//! `passes.rs` is the table of what one connection does, and `case.rs` plays it; what needs more than one, or is no
//! conversation, has a function of its own.

/// A test with such a peer. Without one it is ignored, so that none passes without testing.
macro_rules! with {
    (dotnet $($test:tt)+) => {
        #[test]
        #[cfg_attr(not(dotnet), ignore = "left out: no .NET; `cargo xtask test` sets one up")]
        $($test)+
    };
    (go $($test:tt)+) => {
        #[test]
        #[cfg(windows)]
        #[cfg_attr(not(go), ignore = "left out: no Go peer; `cargo xtask test` sets one up")]
        $($test)+
    };
    (node $($test:tt)+) => {
        #[test]
        #[cfg_attr(not(node), ignore = "left out: no Node; `cargo xtask test` sets one up")]
        $($test)+
    };
}

/// Tests with .NET that are functions without arguments.
macro_rules! with_dotnet {
    ($($name:ident,)+) => {
        mod with_dotnet {
            $(with! { dotnet fn $name() {
                let _watchdog = npipe_interop::watchdog();
                super::$name();
            } })+
        }
    };
}

mod between;
mod case;
mod looks;
mod npipe;
mod passes;
#[cfg(unix)]
mod recipes;
mod serves;
mod stacks;
mod who;
