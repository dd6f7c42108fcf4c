//! The store's integration tests, one binary. Long campaigns run with `HEADWATER_LONG=1`.

mod capacity;
mod conformance;
mod damage;
mod estimates;
mod faults;
mod kill;
mod model;
mod power_cut;
mod random;
mod simulated;
mod together;
mod variant;
mod walks;
mod workload;

/// Whether the long campaigns are wanted.
fn long() -> bool {
    std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1")
}
