//! Raw BSON: numbers, order, keys, Extended JSON.

mod generate;
mod numbers;
mod order;
mod validation;
