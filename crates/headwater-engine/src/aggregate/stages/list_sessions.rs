//! `$listLocalSessions` and `$listSessions`: the sessions that this node knows, which are all there are. There are no users
//! yet: every session is nobody's.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::pipeline::{Context, expect, missing_field, unknown_field};
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::query::exec::{Environment, Stage};
use crate::session::nobody;

/// The collection in which MongoDB keeps sessions.
const SESSIONS: (&str, &str) = ("config", "system.sessions");

#[derive(Debug)]
struct ListSessions {
    name: &'static str,
    /// Whether only sessions of named users are wanted, of which there are none.
    of_users: bool,
}

pub(super) fn local(raw: Raw<'_>, _: &mut Context<'_>) -> Result<Parsed> {
    const NAME: &str = "$listLocalSessions";
    Ok(vec![Arc::new(ListSessions { name: NAME, of_users: parse_users(NAME, raw)? })])
}

pub(super) fn all(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    const NAME: &str = "$listSessions";
    let of_users = parse_users(NAME, raw)?;
    if (context.db, context.collection) != (SESSIONS.0, Some(SESSIONS.1)) {
        let message = format!("{NAME} may only be run against {}.{}", SESSIONS.0, SESSIONS.1);
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    Ok(vec![Arc::new(ListSessions { name: NAME, of_users })])
}

/// Reads the argument. Whether only sessions of named users are wanted.
fn parse_users(stage: &'static str, raw: Raw<'_>) -> Result<bool> {
    let Some(doc) = raw.as_doc() else {
        let found = raw.kind.alias();
        let message = format!("{stage} options must be specified in an object, but found: {found}");
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    };
    let (mut all, mut of_users) = (false, false);
    for element in doc {
        match element.name {
            b"allUsers" => {
                expect(element.value, Type::Bool, stage, "allUsers")?;
                all = element.value.as_bool().unwrap_or(false);
            }
            b"users" => {
                expect(element.value, Type::Array, stage, "users")?;
                let users = element.value.as_array();
                for (at, user) in users.into_iter().flat_map(|users| users.iter()).enumerate() {
                    check_user(stage, user, at)?;
                    of_users = true;
                }
            }
            _ => return Err(unknown_field(stage, element.name_str())),
        }
    }
    if all && of_users {
        let message = format!(
            "{stage} may not specify {{allUsers:true}} and {{users:[...]}} at the same time"
        );
        return Err(Error::new(Code(12), message));
    }
    Ok(of_users)
}

fn check_user(stage: &str, user: Raw<'_>, at: usize) -> Result<()> {
    let users = format!("{stage}.users");
    expect(user, Type::Document, &users, &at.to_string())?;
    let user = user.as_doc().unwrap_or(Doc::EMPTY);
    for field in user {
        if !matches!(field.name, b"db" | b"user") {
            return Err(unknown_field(&users, field.name_str()));
        }
        expect(field.value, Type::String, &users, field.name_str())?;
    }
    match ["user", "db"].into_iter().find(|name| user.get(name).is_none()) {
        Some(name) => Err(missing_field(&users, name)),
        None => Ok(()),
    }
}

impl StageSpec for ListSessions {
    fn name(&self) -> &'static str {
        self.name
    }

    fn start(self: Arc<Self>, _: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Listing { spec: self, rows: None })
    }

    fn is_source(&self) -> bool {
        true
    }
}

struct Listing {
    spec: Arc<ListSessions>,
    rows: Option<VecDeque<DocBuf>>,
}

impl Listing {
    fn rows(&self, env: &dyn Environment) -> Result<VecDeque<DocBuf>> {
        if self.spec.of_users {
            return Ok(VecDeque::new());
        }
        let row = |(id, used_ms): ([u8; 16], i64)| {
            let mut row = DocWriter::new();
            row.document("_id", |session| {
                session.binary("id", 4, &id);
                session.binary("uid", 0, &nobody::UID);
            });
            row.date("lastUse", used_ms);
            row.finish()
        };
        Ok(env.sessions()?.into_iter().map(row).collect())
    }
}

impl Stage for Listing {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        env.check()?;
        if self.rows.is_none() {
            self.rows = Some(self.rows(env)?);
        }
        Ok(self.rows.as_mut().and_then(VecDeque::pop_front))
    }
}
