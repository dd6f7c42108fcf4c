//! Tests of the scoreboard itself: the recordings are whole, and the copy is that of `../shared`.

mod copy;
mod judge;
