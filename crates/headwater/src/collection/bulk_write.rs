//! Writes of different kinds in one call: grouped into commands, their outcomes told by input index.

mod model;
mod outcome;

use std::time::Duration;

use mongodb::bson::{Document, RawArrayBuf, RawDocumentBuf, cstr};
use mongodb::options::{InsertManyOptions, WriteConcern};

pub use self::model::WriteModel;
use self::model::{Kind, Statement};
pub use self::outcome::BulkWriteResult;
use self::outcome::Outcome;
use super::Collection;
use super::insert::unfit;
use super::insert_many::Prepared;
use crate::connector::limit_wait;
use crate::error::{Error, Result};
use crate::operation::Safety;

/// The most bytes of statements in one command, which is one document of 16 MB.
const GROUP_BYTES_MAX: usize = 15_000_000;
/// The most statements in one command, which every server takes (`maxWriteBatchSize`).
const GROUP_COUNT_MAX: usize = 100_000;

/// Writes of different kinds; see [`Collection::bulk_write`].
#[must_use = "nothing happens before it is awaited"]
pub struct BulkWrite<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    models: Vec<WriteModel>,
    ordered: bool,
    write_concern: Option<WriteConcern>,
    deadline: Option<Duration>,
}

/// Statements of one kind that go out in one command.
struct Group {
    kind: Kind,
    /// Their input indexes.
    members: Vec<usize>,
    inserts: Vec<Prepared>,
    others: RawArrayBuf,
    bytes: usize,
}

impl<T: Send + Sync> Collection<T> {
    /// Writes of different kinds in one call; none is an empty result.
    ///
    /// Ordered unless told otherwise: the first failure is the last write tried. The error, if some writes fail,
    /// carries [`BulkFailure`](crate::BulkFailure). Commands that only insert are tried again like inserts; updates and
    /// deletes are not once they were sent: the error then names their indexes as unknown.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// use headwater::collection::WriteModel;
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// let result = users
    ///     .bulk_write([
    ///         WriteModel::insert_one(doc! { "_id": 1, "age": 30 }),
    ///         WriteModel::update_one(doc! { "_id": 1 }, doc! { "$inc": { "age": 1 } }),
    ///         WriteModel::update_one(doc! { "_id": 2 }, doc! { "$set": { "age": 5 } }).upsert(),
    ///         WriteModel::delete_many(doc! { "age": { "$lt": 10 } }),
    ///     ])
    ///     .await?;
    /// assert_eq!((result.inserted_count, result.modified_count, result.deleted_count), (1, 1, 1));
    /// assert_eq!(result.upserted_ids[&2], 2.into());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn bulk_write(&self, models: impl IntoIterator<Item = WriteModel>) -> BulkWrite<'_, T> {
        BulkWrite {
            collection: self,
            models: models.into_iter().collect(),
            ordered: true,
            write_concern: None,
            deadline: None,
        }
    }
}

deadline!(BulkWrite<T>);
awaitable!(BulkWrite<T> => BulkWriteResult);

impl<'a, T: Send + Sync> BulkWrite<'a, T> {
    /// Whether the first failure ends it. True.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.ordered = ordered;
        self
    }

    /// The write concern of this call.
    pub fn write_concern(mut self, concern: WriteConcern) -> Self {
        self.write_concern = Some(concern);
        self
    }

    async fn run(mut self) -> Result<BulkWriteResult> {
        let mut concern =
            self.write_concern.take().or_else(|| self.collection.write_concern().cloned());
        limit_wait(&mut concern);
        let groups = groups(std::mem::take(&mut self.models), self.ordered)?;
        let mut outcome = Outcome::default();
        for group in &groups {
            if outcome.is_over(self.ordered) {
                outcome.not_tried(group);
                continue;
            }
            if group.kind == Kind::Insert {
                let mut options = InsertManyOptions::default();
                options.ordered = Some(self.ordered);
                options.write_concern = concern.clone();
                let insert =
                    self.collection.insert_batch(&group.inserts, &options, self.deadline).await;
                outcome.inserted(group, insert);
                continue;
            }
            match self.send(group, concern.as_ref()).await {
                Ok(reply) => outcome.add(group, &reply, self.ordered),
                Err(error) => outcome.broken(group, error),
            }
        }
        outcome.finish()
    }

    async fn send(&self, group: &Group, concern: Option<&WriteConcern>) -> Result<Document> {
        let operation = self.collection.operation("bulk_write", Safety::Never);
        let (name, statements) = match group.kind {
            Kind::Delete => (cstr!("delete"), cstr!("deletes")),
            _ => (cstr!("update"), cstr!("updates")),
        };
        let mut command = RawDocumentBuf::new();
        command.append(name, self.collection.name());
        command.append(statements, group.others.clone());
        command.append(cstr!("ordered"), self.ordered);
        if let Some(concern) = concern {
            let concern = mongodb::bson::serialize_to_raw_document_buf(concern).map_err(unfit)?;
            command.append(cstr!("writeConcern"), concern);
        }
        let database = self.collection.driver_database();
        let call = || database.run_raw_command(command.clone()).into_future();
        self.collection.resilience().run(operation.deadline(self.deadline), call).await
    }
}

impl Group {
    fn new(kind: Kind) -> Group {
        Group { kind, members: vec![], inserts: vec![], others: RawArrayBuf::new(), bytes: 0 }
    }
}

/// What goes out together: neighbours of one kind where the order counts, all of one kind where it does not.
fn groups(models: Vec<WriteModel>, ordered: bool) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    for (index, model) in models.into_iter().enumerate() {
        let statement = model.statement()?;
        let (kind, bytes) = (statement.kind(), statement.bytes());
        let fits = |group: &Group| {
            group.kind == kind
                && group.bytes + bytes <= GROUP_BYTES_MAX
                && group.members.len() < GROUP_COUNT_MAX
        };
        let place = if ordered {
            groups.len().checked_sub(1).filter(|last| fits(&groups[*last]))
        } else {
            groups.iter().rposition(fits)
        };
        let place = place.unwrap_or_else(|| {
            groups.push(Group::new(kind));
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.members.push(index);
        group.bytes += bytes + 16;
        match statement {
            Statement::Insert(prepared) => group.inserts.push(prepared),
            Statement::Other(_, document) => group.others.push(document),
        }
    }
    Ok(groups)
}

#[cold]
fn refuse(demand: &str) -> Error {
    Error::validation(demand)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn neighbours_go_together_and_without_order_all_of_a_kind() {
        let models = || {
            vec![
                WriteModel::insert_one(doc! { "_id": 1 }),
                WriteModel::insert_one(doc! { "_id": 2 }),
                WriteModel::delete_one(doc! {}),
                WriteModel::insert_one(doc! { "_id": 3 }),
            ]
        };
        let members = |ordered| -> Vec<Vec<usize>> {
            groups(models(), ordered).unwrap().iter().map(|group| group.members.clone()).collect()
        };
        assert_eq!(members(true), [vec![0, 1], vec![2], vec![3]]);
        assert_eq!(members(false), [vec![0, 1, 3], vec![2]]);
    }
}
