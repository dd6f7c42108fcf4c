//! Write and read concerns on a one-member set.
//!
//! `majority` (the default) and `j: true` wait until the write is durable; `w: 1, j: false` until it is in the log file.
//! More members than one cannot answer: the write is done and the reply says so.

use super::{Command, Fields, Needs};
use crate::aggregate::expressions::bson_text;
use crate::bson::{Doc, DocWriter, Number, Raw, Type, View};
use crate::error::{Code, Error, Result};

/// How far a write must have come before it is acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteConcern {
    w: W,
    journal: Option<bool>,
    timeout_ms: i64,
    given: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum W {
    Members(i64),
    Majority,
    Tag(String),
}

impl Default for WriteConcern {
    fn default() -> WriteConcern {
        WriteConcern { w: W::Majority, journal: None, timeout_ms: 0, given: false }
    }
}

const FIELDS: &[&str] = &["fsync", "getLastError", "j", "provenance", "w", "wOpTime", "wtimeout"];

impl WriteConcern {
    /// Reads a `writeConcern` document.
    ///
    /// # Errors
    /// `FailedToParse` (9), `TypeMismatch` (14), `IDLUnknownField` (40415).
    pub fn parse(doc: Doc<'_>) -> Result<WriteConcern> {
        let fields = Fields::new(doc, "writeConcern");
        fields.only(FIELDS)?;
        let mut concern = WriteConcern { given: !doc.is_empty(), ..WriteConcern::default() };
        if let Some(w) = fields.get("w") {
            concern.w = W::parse(w)?;
        }
        concern.journal = match fields.loose_bool("j")? {
            Some(journal) => Some(journal),
            None => fields.loose_bool("fsync")?,
        };
        if let Some(timeout) = fields.get("wtimeout").and_then(Number::from_raw) {
            concern.timeout_ms = timeout.to_f64() as i64;
        }
        if concern.w == W::Members(0) && concern.journal == Some(true) {
            let message = "cannot use non-zero 'j' or 'fsync' with w: 0";
            return Err(Error::new(Code::FAILED_TO_PARSE, message));
        }
        Ok(concern)
    }

    /// Whether the reply waits for the sync.
    pub fn waits_durable(&self) -> bool {
        match (&self.w, self.journal) {
            (_, Some(true)) | (W::Majority | W::Tag(_), _) => true,
            (W::Members(members), _) => *members > 1,
        }
    }

    /// Whether the reply waits for nothing.
    pub fn waits_for_nothing(&self) -> bool {
        self.w == W::Members(0)
    }

    /// Appends the `writeConcernError` of a concern that one member cannot satisfy.
    pub fn write_error(&self, reply: &mut DocWriter) {
        let (code, message) = match &self.w {
            W::Members(members) if *members > 1 => {
                let message = "Not enough data-bearing nodes".to_owned();
                (Code::UNSATISFIABLE_WRITE_CONCERN, message)
            }
            W::Tag(tag) => (
                Code::UNKNOWN_REPL_WRITE_CONCERN,
                format!("No write concern mode named '{tag}' found in replica set configuration"),
            ),
            _ => return,
        };
        reply.document("writeConcernError", |error| {
            error.i32("code", code.0);
            error.str("codeName", &code.name());
            error.str("errmsg", &message);
            error.document("errInfo", |info| {
                info.document("writeConcern", |concern| {
                    match &self.w {
                        W::Members(members) => concern.i32("w", *members as i32),
                        W::Majority => concern.str("w", "majority"),
                        W::Tag(tag) => concern.str("w", tag),
                    }
                    if let Some(journal) = self.journal {
                        concern.bool("j", journal);
                    }
                    concern.i32("wtimeout", i32::try_from(self.timeout_ms).unwrap_or(i32::MAX));
                    concern.str(
                        "provenance",
                        if self.given { "clientSupplied" } else { "implicitDefault" },
                    );
                });
            });
        });
    }
}

impl W {
    fn parse(w: Raw<'_>) -> Result<W> {
        if let Some(text) = w.as_str() {
            return Ok(if text == "majority" { W::Majority } else { W::Tag(text.to_owned()) });
        }
        if w.kind == Type::Document {
            return Err(Error::not_supported("a write concern of tags"));
        }
        let Some(number) = Number::from_raw(w) else {
            let message = "w has to be a number, string, or object";
            return Err(Error::new(Code::FAILED_TO_PARSE, message));
        };
        match number.to_f64() as i64 {
            members @ 0..=50 => Ok(W::Members(members)),
            _ => Err(Error::new(
                Code::FAILED_TO_PARSE,
                format!(
                    "w has to be a non-negative number and not greater than 50; found: {}",
                    bson_text(w)
                ),
            )),
        }
    }
}

const READ_FIELDS: &[&str] =
    &["afterClusterTime", "atClusterTime", "level", "provenance", "snapshot"];

/// What a read concern asks for beside the level, which on one node differ in durability only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ReadConcern {
    /// Whether what is read must be durable first.
    pub durable: bool,
    /// The level, where one is given.
    pub level: Option<Level>,
    /// The moment to read at.
    pub at: Option<u64>,
}

/// The levels of a read concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) enum Level {
    Local,
    Available,
    Majority,
    Linearizable,
    Snapshot,
}

impl Level {
    fn named(name: &str) -> Option<Level> {
        Some(match name {
            "local" => Level::Local,
            "available" => Level::Available,
            "majority" => Level::Majority,
            "linearizable" => Level::Linearizable,
            "snapshot" => Level::Snapshot,
            _ => return None,
        })
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Level::Local => "local",
            Level::Available => "available",
            Level::Majority => "majority",
            Level::Linearizable => "linearizable",
            Level::Snapshot => "snapshot",
        }
    }
}

impl ReadConcern {
    /// Reads a `readConcern` document.
    ///
    /// # Errors
    /// `BadValue` (2) for an unknown level, `InvalidOptions` (72) for what does not go together.
    pub(super) fn parse(doc: Doc<'_>) -> Result<ReadConcern> {
        let fields = Fields::new(doc, "readConcern");
        fields.only(READ_FIELDS)?;
        let level = match fields.str("level")? {
            None => None,
            Some(name) => Some(Level::named(name).ok_or_else(|| no_such_level(name))?),
        };
        let (after, at) = (time(fields, "afterClusterTime")?, time(fields, "atClusterTime")?);
        let refuse = |message: &str| Err(Error::new(Code::INVALID_OPTIONS, message));
        if after.is_some() && at.is_some() {
            return refuse("Can not specify both 'afterClusterTime' and 'atClusterTime'");
        }
        if after.is_some() && matches!(level, Some(Level::Available | Level::Linearizable)) {
            return refuse(
                "afterClusterTime field can be set only if level is equal to majority, local, or snapshot",
            );
        }
        if at.is_some() && level != Some(Level::Snapshot) {
            return refuse("atClusterTime field can be set only if level is equal to snapshot");
        }
        if after == Some(0) {
            return refuse("afterClusterTime cannot be a null timestamp");
        }
        if at == Some(0) {
            return refuse("atClusterTime cannot be a null timestamp");
        }
        let durable = !matches!(level, None | Some(Level::Local | Level::Available));
        Ok(ReadConcern { durable, level, at })
    }

    /// Refuses the level `snapshot` for a command that cannot read at a moment.
    ///
    /// # Errors
    /// `InvalidOptions` (72).
    pub(super) fn check_command(&self, command: &Command) -> Result<()> {
        // A getMore reads at the moment of its cursor, whatever it says.
        const AT_A_MOMENT: &[&str] = &["aggregate", "distinct", "find", "getMore"];
        if self.level != Some(Level::Snapshot) || AT_A_MOMENT.contains(&command.name) {
            return Ok(());
        }
        let why = match command.needs {
            Needs::Read => "read concern snapshot not supported",
            Needs::Nothing | Needs::Write => "read concern not supported",
        };
        let message = format!(
            "Command {} does not support {{ readConcern: {{ level: \"snapshot\", provenance: \"clientSupplied\" }} }} :: caused by :: {why}",
            command.name
        );
        Err(Error::new(Code::INVALID_OPTIONS, message))
    }

    /// Refuses levels that a change stream does not take.
    ///
    /// # Errors
    /// `InvalidOptions` (72).
    pub(super) fn check_stream(&self) -> Result<()> {
        match self.level {
            None | Some(Level::Majority) => Ok(()),
            Some(level) => {
                let message = format!(
                    "Aggregation stage $changeStream cannot run with a readConcern other than 'majority', or in a multi-document transaction. Current readConcern: {}",
                    level.name()
                );
                Err(Error::new(Code::INVALID_OPTIONS, message))
            }
        }
    }
}

fn no_such_level(name: &str) -> Error {
    let message =
        format!("Enumeration value '{name}' for field 'readConcern.level' is not a valid value.");
    Error::new(Code::BAD_VALUE, message)
}

fn time(fields: Fields<'_>, name: &str) -> Result<Option<u64>> {
    match fields.get(name).map(|raw| (raw, raw.view())) {
        None => Ok(None),
        Some((_, View::Timestamp(time))) => Ok(Some(time)),
        Some((raw, _)) => Err(fields.wrong_type(name, raw.kind, &["timestamp"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concern(fill: impl FnOnce(&mut DocWriter)) -> Result<WriteConcern> {
        let mut doc = DocWriter::new();
        fill(&mut doc);
        WriteConcern::parse(doc.finish().as_doc())
    }

    #[test]
    fn the_default_waits_for_the_sync() {
        assert!(WriteConcern::default().waits_durable());
        assert!(concern(|_| {}).unwrap().waits_durable());
    }

    #[test]
    fn one_member_without_journal_does_not_wait_for_the_sync() {
        assert!(!concern(|doc| doc.i32("w", 1)).unwrap().waits_durable());
        let journaled = concern(|doc| {
            doc.i32("w", 1);
            doc.bool("j", true);
        });
        assert!(journaled.unwrap().waits_durable());
    }

    #[test]
    fn two_members_are_an_error_in_the_reply() {
        let mut reply = DocWriter::new();
        concern(|doc| doc.i32("w", 2)).unwrap().write_error(&mut reply);
        let reply = reply.finish();
        let error = reply.as_doc().get("writeConcernError").and_then(Raw::as_doc).unwrap();
        assert_eq!(error.get("code").unwrap().data, 100_i32.to_le_bytes());
    }
}
