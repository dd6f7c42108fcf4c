//! Raw BSON: numbers, order, keys, Extended JSON.

mod corpus;
mod extjson;
mod generate;
mod numbers;
mod order;
mod print;
mod recorded;
mod validation;
