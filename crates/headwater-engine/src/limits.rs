//! Every limit of the engine in one place. Sources: the `hello` reply of MongoDB 8.0 and its documentation of limits.

/// Largest document that a user may store, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Slack above [`DOCUMENT_BYTES_MAX`] that a command or an internal document may take, in bytes.
pub const DOCUMENT_BYTES_SLACK: usize = 16 * 1024;
/// Largest wire message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 48_000_000;
/// Most write statements in one command.
pub const WRITE_BATCH_MAX: usize = 100_000;
/// Deepest nesting of a stored document: what MongoDB's engine was recorded to take (docs/decisions/0003).
pub const DEPTH_MAX: usize = 180;
/// Deepest nesting of a command document (a stored document may stand several levels down in a command).
pub const COMMAND_DEPTH_MAX: usize = 200;
/// Most indexes on one collection, `_id` included.
pub const INDEXES_MAX: usize = 64;
/// Most fields in one compound index or sort pattern.
pub const KEY_FIELDS_MAX: usize = 32;
/// Idle time after which a cursor is closed, in milliseconds.
pub const CURSOR_IDLE_MS_MAX: u64 = 600_000;
/// Life of an idle session, in minutes.
pub const SESSION_MINUTES: i32 = 30;
/// What a scan may keep to tell documents apart that several index entries lead to, in bytes.
pub const DEDUP_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Memory that a blocking sort or group may take, in bytes.
pub const STAGE_MEMORY_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Milliseconds from which on an operation is slow, unless `profile` says otherwise.
pub const SLOW_MS: i64 = 100;
/// Bytes of the capped collection `system.profile`.
pub const PROFILE_BYTES: i32 = 1024 * 1024;
/// Bytes of profiled operations that wait in memory; of more the oldest go.
pub const PROFILE_WAITING_BYTES_MAX: usize = 1024 * 1024;
/// Most names in a dotted path.
pub const PATH_PARTS_MAX: usize = 200;
/// Deepest nesting of logical operators in a filter.
pub const FILTER_DEPTH_MAX: usize = 100;
/// Longest regular expression, in bytes.
pub const REGEX_BYTES_MAX: usize = 32_764;
/// Most steps that matching one text with a regular expression may take.
pub const REGEX_STEPS_MAX: u32 = 5_000_000;
/// Most nulls that an update puts before an array element it sets beyond the array's end.
pub const ARRAY_PADDING_MAX: usize = 1_500_000;
/// Texts that expressions make are shorter, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most components of an update operator's path.
pub const UPDATE_PATH_PARTS_MAX: usize = 256;
/// Most open cursors.
pub const CURSORS_MAX: usize = 100_000;
/// Longest that a snapshot is kept for reads at its moment, in seconds.
pub const SNAPSHOT_SECONDS_MAX: u64 = 60;
/// Most snapshots that are kept for reads at their moments.
pub const SNAPSHOTS_KEPT_MAX: usize = 64;
/// Most sessions known at a time.
pub const SESSIONS_MAX: usize = 1_000_000;
/// Bytes of documents in one reply batch.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Documents in a first batch when the client names no size.
pub const FIRST_BATCH_DOCUMENTS: usize = 101;
/// Memory that the entries of one index build may take, in bytes; the rest goes to the disk.
pub const INDEX_BUILD_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Documents or index entries that `explain` looks at, at most, to try out the plan that was chosen.
pub const TRIED_UNITS_MAX: u64 = 10_000;
/// Documents for which `explain` tries a plan out. Source: MongoDB's trial runs, as the limit above.
pub const TRIED_DOCUMENTS_MAX: u64 = 101;
