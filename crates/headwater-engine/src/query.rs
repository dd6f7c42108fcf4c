//! Reading: filters, projections, sorts, plans and their execution.

pub mod bounds;
pub mod distinct;
pub mod exec;
pub mod matcher;
pub mod path;
pub mod projection;
pub mod sort;
