//! The guide pages of the connector, compiled as documentation tests so that they stay right.

#[doc = include_str!("../../../docs/connector/bulk.md")]
struct Bulk;

#[doc = include_str!("../../../docs/connector/concurrent.md")]
struct Concurrent;

#[doc = include_str!("../../../docs/connector/change-streams.md")]
struct ChangeStreams;

#[doc = include_str!("../../../docs/connector/configuration.md")]
struct Configuration;

#[doc = include_str!("../../../docs/connector/gridfs.md")]
struct GridFs;

#[doc = include_str!("../../../docs/connector/input.md")]
struct Input;

#[doc = include_str!("../../../docs/connector/json.md")]
struct Json;

#[doc = include_str!("../../../docs/connector/resilience.md")]
struct Resilience;

#[doc = include_str!("../../../docs/connector/errors.md")]
struct Errors;

#[doc = include_str!("../../../docs/connector/collections.md")]
struct Collections;

#[cfg(feature = "http")]
#[doc = include_str!("../../../docs/connector/monitoring.md")]
struct Monitoring;

#[doc = include_str!("../../../docs/connector/streaming.md")]
struct Streaming;
