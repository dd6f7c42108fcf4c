//! Transactions: the whole body again after a passing trouble, the commit again until its outcome is known.

use std::time::Duration;

use mongodb::ClientSession;
use mongodb::options::TransactionOptions;
use tokio::time::Instant;

use crate::BoxFuture;
use crate::connector::{Headwater, limit_wait};
use crate::error::classify::Family;
use crate::error::kind::ErrorKind;
use crate::error::{Error, Result};

/// How long body and commit are tried again, from the driver specification "Convenient API for Transactions".
const TRY_FOR: Duration = Duration::from_secs(120);
/// The server does not know transactions, or not this command.
const NOT_SUPPORTED: &[i32] = &[20, 59, 115, 238, 263];

impl Headwater {
    /// Runs a transaction: the body with a session, then the commit.
    ///
    /// The body runs again from its start when the server says that a passing trouble hit the transaction, so it must
    /// have no effects but those of its session. The commit is sent again until the server says how it ended. Both are
    /// tried for at most 120 s. An error of the body aborts the transaction and is returned.
    ///
    /// Operations take part by the driver's `session`: `books.driver().insert_one(book).session(&mut *session)`.
    ///
    /// # Errors
    /// What the body returned, or why the commit failed; [`Error::is_outcome_unknown`] if nobody knows whether it did.
    /// A deployment without transactions says so with kind [`ErrorKind::Transaction`]; the embedded database is one.
    ///
    /// ```no_run
    /// # async fn example(headwater: headwater::Headwater) -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let accounts = headwater.collection::<Document>("accounts");
    /// headwater
    ///     .transaction(None, |session| {
    ///         let accounts = accounts.driver().clone();
    ///         Box::pin(async move {
    ///             let take = doc! { "$inc": { "money": -5 } };
    ///             accounts.update_one(doc! { "_id": 1 }, take).session(&mut *session).await?;
    ///             let give = doc! { "$inc": { "money": 5 } };
    ///             accounts.update_one(doc! { "_id": 2 }, give).session(&mut *session).await?;
    ///             Ok(())
    ///         })
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn transaction<T, F>(
        &self,
        options: impl Into<Option<TransactionOptions>> + Send,
        body: F,
    ) -> Result<T>
    where
        F: for<'s> Fn(&'s mut ClientSession) -> BoxFuture<'s, Result<T>> + Send + Sync,
        T: Send,
    {
        let mut options: Option<TransactionOptions> = options.into();
        if let Some(options) = &mut options {
            limit_wait(&mut options.write_concern);
        }
        let give_up = Instant::now() + TRY_FOR;
        let mut session = self.driver().start_session().await.map_err(of_transaction)?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let start = session.start_transaction().with_options(options.clone());
            start.await.map_err(of_transaction)?;
            let value = match body(&mut session).await {
                Ok(value) => value,
                Err(error) => {
                    let again = error.has_label("TransientTransactionError");
                    let _ = session.abort_transaction().await;
                    if again && self.may_go_on(attempts, give_up).await {
                        continue;
                    }
                    return Err(refused(error).after(attempts, false, false));
                }
            };
            match commit(&mut session, give_up).await {
                Ok(()) => return Ok(value),
                Err(error) => {
                    let unknown = error.has_label("UnknownTransactionCommitResult");
                    let again = error.has_label("TransientTransactionError");
                    if again && self.may_go_on(attempts, give_up).await {
                        continue;
                    }
                    return Err(error
                        .at("transaction", "admin".to_owned())
                        .after(attempts, unknown, false));
                }
            }
        }
    }

    async fn may_go_on(&self, attempts: u32, give_up: Instant) -> bool {
        let pause = crate::resilience::pause(&self.resilience_settings().retry, attempts);
        if Instant::now() + pause >= give_up {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

/// Commits, and again for as long as nobody knows whether it was done. The server takes the second for the first.
async fn commit(session: &mut ClientSession, give_up: Instant) -> Result<()> {
    loop {
        let error = match session.commit_transaction().await {
            Ok(()) => return Ok(()),
            Err(error) => of_transaction(error),
        };
        // The server's own limit of time, once reached, is reached again.
        let expired = error.code() == Some(50);
        let unknown = error.has_label("UnknownTransactionCommitResult");
        if !unknown || expired || Instant::now() >= give_up {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[cold]
fn of_transaction(error: mongodb::error::Error) -> Error {
    Error::of_driver(error, Family::Transaction)
}

/// The refusal of a deployment without transactions, told as such.
fn refused(error: Error) -> Error {
    match error.code() {
        Some(code) if NOT_SUPPORTED.contains(&code) => error.with_kind(ErrorKind::Transaction),
        _ => error,
    }
}
