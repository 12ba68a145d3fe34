//! npipe
