//! The store's integration tests, one binary. Long campaigns run with `HEADWATER_LONG=1`.

mod conformance;
mod model;
mod random;
mod variant;

/// Whether the long campaigns are wanted.
fn long() -> bool {
    std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1")
}
