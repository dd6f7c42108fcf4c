//! Reading: filters, projections, sorts, plans and their execution.

pub mod bounds;
pub mod crew;
pub mod cursor;
pub mod distinct;
pub mod exec;
pub mod find;
pub mod matcher;
pub mod path;
pub mod plan;
pub mod projection;
pub mod run;
pub mod scan;
pub(crate) mod sequence;
pub mod sort;
