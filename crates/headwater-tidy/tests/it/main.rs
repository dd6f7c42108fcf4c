//! The house rules. Each rule is one test that names every offender.

mod docs;
mod edges;
mod files;
mod tables;
mod words;
