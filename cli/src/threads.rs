//! Threads: one for each way of a connection, so that none can hold up another.

/// What a copying thread needs on its stack, with room to spare: thousands of them may run.
pub const STACK: usize = 256 * 1024;
