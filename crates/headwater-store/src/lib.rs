//! Headwater store: ordered bytes, snapshots, the log. Knows bytes only: no BSON, no sockets, no async runtime.
