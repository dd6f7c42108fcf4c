//! The lecture scenarios, run with the real binary on a database inside this process, or on a server that is killed.
//!
//! Tests cite the numbers of the requirements: L for what must be better than in the lectures, A for the acceptance
//! list. `HEADWATER_LONG=1` runs A2 and A5 at their full length.

mod binary;
mod change_streams;
mod commands;
mod deployments;
mod inventory;
mod low_stock;
mod pooling;
#[path = "../../../../crates/headwater/tests/it/process.rs"]
mod process;
#[path = "../../../../crates/headwater/tests/it/program.rs"]
mod program;
mod robust;
#[path = "../../../../crates/headwater/tests/it/serve.rs"]
mod serve;
mod shipments;
mod transactions;
