//! Raw BSON: numbers, order, keys, Extended JSON.

mod numbers;
