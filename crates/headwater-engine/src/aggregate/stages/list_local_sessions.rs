//! `$listLocalSessions`: the sessions that this node knows. There are no users yet: every session is nobody's.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::pipeline::{Context, expect, missing_field, unknown_field};
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::query::exec::{Environment, Stage};
use crate::session::nobody;

const NAME: &str = "$listLocalSessions";

#[derive(Debug)]
struct ListLocalSessions {
    /// Whether only sessions of named users are wanted, of which there are none.
    of_users: bool,
}

pub(super) fn parse(raw: Raw<'_>, _: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        let found = raw.kind.alias();
        let message = format!("{NAME} options must be specified in an object, but found: {found}");
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    };
    let (mut all, mut of_users) = (false, false);
    for element in doc {
        match element.name {
            b"allUsers" => {
                expect(element.value, Type::Bool, NAME, "allUsers")?;
                all = element.value.as_bool().unwrap_or(false);
            }
            b"users" => {
                expect(element.value, Type::Array, NAME, "users")?;
                let users = element.value.as_array();
                for (at, user) in users.into_iter().flat_map(|users| users.iter()).enumerate() {
                    check_user(user, at)?;
                    of_users = true;
                }
            }
            _ => return Err(unknown_field(NAME, element.name_str())),
        }
    }
    if all && of_users {
        let message = format!(
            "{NAME} may not specify {{allUsers:true}} and {{users:[...]}} at the same time"
        );
        return Err(Error::new(Code(12), message));
    }
    Ok(vec![Arc::new(ListLocalSessions { of_users })])
}

fn check_user(user: Raw<'_>, at: usize) -> Result<()> {
    const USERS: &str = "$listLocalSessions.users";
    expect(user, Type::Document, USERS, &at.to_string())?;
    let user = user.as_doc().unwrap_or(Doc::EMPTY);
    for field in user {
        if !matches!(field.name, b"db" | b"user") {
            return Err(unknown_field(USERS, field.name_str()));
        }
        expect(field.value, Type::String, USERS, field.name_str())?;
    }
    match ["user", "db"].into_iter().find(|name| user.get(name).is_none()) {
        Some(name) => Err(missing_field(USERS, name)),
        None => Ok(()),
    }
}

impl StageSpec for ListLocalSessions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn start(self: Arc<Self>, _: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Listing { spec: self, rows: None })
    }

    fn is_source(&self) -> bool {
        true
    }
}

struct Listing {
    spec: Arc<ListLocalSessions>,
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
