//! The house rules. Each rule is one test that names every offender.

mod docs;
mod edges;
mod files;
mod numbers;
mod tables;
mod words;
