//! Operators that a filter from outside may not hold, and what stands beside them.

/// Forbidden unless allowed: those that run code, and those with patterns.
pub(super) const FORBIDDEN: &[&str] = &[
    "$accumulator",
    "$function",
    "$jsonSchema",
    "$regex",
    "$regexFind",
    "$regexFindAll",
    "$regexMatch",
    "$where",
];

/// The name under which literals are allowed and forbidden.
pub(super) const REGEX: &str = "$regex";
/// Belongs to [`REGEX`]: allowed with it, forbidden with it.
pub(super) const OPTIONS: &str = "$options";
/// Holds an expression, which makes no sense when a part is missing.
pub(super) const EXPR: &str = "$expr";
