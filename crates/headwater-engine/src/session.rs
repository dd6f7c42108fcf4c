//! What outlives a command: cursors, sessions, and what the retryable writes of a session have done.

pub mod cursors;
pub mod nobody;
pub mod retry;

pub use retry::Sessions;
