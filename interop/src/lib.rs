//! The peers that the interop tests start.
