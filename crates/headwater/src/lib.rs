//! The connector: the official driver plus resilience, and an embedded database when there is no URI.
