//! The feed of prices: one change stream that outlives failures, and the snapshot it starts from.
//!
//! The stream is opened first and the snapshot read afterwards. Events that may be part of the snapshot are held back
//! until the last of them is known, so that no price is missed and none goes backwards. That the stream continues after
//! a failure is the connector's work. Knows nothing of how prices are shown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use headwater::bson::{Bson, DateTime, Document, Timestamp, doc};
use headwater::changes::OperationType;
use headwater::{ChangeEvent, ChangeStream, ChangeStreamFailure, ErrorKind, ResumeToken};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::{Error, Result, one_line};
use crate::market::{COLLECTION, Market};
use crate::stock::{Stock, price_in};
use crate::symbols::{FAMILIAR, row_of};

/// How long the server holds an empty reply back.
const AWAIT: Duration = Duration::from_millis(500);
/// Silence after which the connection counts as lost.
const SILENT: Duration = Duration::from_millis(2_000);
/// How often a stream is opened again that the server refused for good: what it refuses may change.
const REOPEN_EVERY: Duration = Duration::from_secs(5);
/// Signals that may wait for a slow reader before the stream itself has to wait.
const BUFFERED: usize = 1_024;

/// What happened to a familiar symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A new document.
    Insert,
    /// A new price in place.
    Update,
    /// A new document instead of the old one.
    Replace,
    /// The document is gone.
    Delete,
}

impl Operation {
    /// MongoDB's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Replace => "replace",
            Operation::Delete => "delete",
        }
    }
}

/// One change of a familiar symbol.
#[derive(Debug, Clone)]
pub struct Tick {
    /// The display row of the symbol.
    pub row: usize,
    /// What happened.
    pub operation: Operation,
    /// The price from now on; none if there is none.
    pub price: Option<i64>,
    /// The server's logical time of the change.
    pub cluster_time: Option<Timestamp>,
    /// The server's clock at the change.
    pub wall_time: Option<DateTime>,
    /// When it was received.
    pub received: SystemTime,
    /// The position behind this change.
    pub token: ResumeToken,
}

/// The prices of all rows at one moment.
pub type Prices = [Option<i64>; FAMILIAR.len()];

/// How the feed is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Changes arrive.
    Live,
    /// The server is away; the feed continues where it was as soon as it is back.
    Reconnecting {
        /// What went wrong, in one line.
        cause: String,
    },
    /// The position was too old; the prices were read anew and changes in between were not seen.
    HistoryLost,
}

/// What the feed tells.
#[derive(Debug, Clone)]
pub enum Signal {
    /// All prices, before the first tick and after lost history.
    Snapshot(Box<Prices>),
    /// One change.
    Tick(Box<Tick>),
    /// The collection is gone: there are no prices until it is loaded again.
    Emptied,
    /// How the feed is doing.
    Link(Link),
}

/// A feed that runs until it is dropped.
#[derive(Debug)]
pub struct Feed {
    signals: mpsc::Receiver<Signal>,
    task: JoinHandle<()>,
}

impl Feed {
    /// Opens the stream and, if `snapshot` is set, reads the prices. With `after` the feed begins behind that
    /// position, without it now.
    ///
    /// # Errors
    /// The server has no change streams, does not answer or does not allow it. Later failures are no errors: the
    /// feed repairs itself.
    pub async fn open(market: &Market, snapshot: bool, after: Option<ResumeToken>) -> Result<Feed> {
        market.require_streams()?;
        let stream = watch(market, after).await.map_err(|error| match error.kind() {
            ErrorKind::ChangeStream(ChangeStreamFailure::NotSupported) => Error::refused(format!(
                "Error: the server offers no change streams: {}",
                one_line(&error)
            )),
            _ => Error::from(error),
        })?;
        let (sender, signals) = mpsc::channel(BUFFERED);
        let market = market.clone();
        let mut reader =
            Reader { market, stream, snapshot, unread: false, overlap: None, away: false, sender };
        if snapshot {
            reader.read_prices().await?;
        }
        reader.say(Signal::Link(Link::Live)).await;
        let task = tokio::spawn(reader.run());
        Ok(Feed { signals, task })
    }

    /// The next signal. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Signal {
        match self.signals.recv().await {
            Some(signal) => signal,
            // The reader ends only with the runtime.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens the stream, which survives failures by itself and tells of each.
async fn watch(
    market: &Market,
    after: Option<ResumeToken>,
) -> headwater::Result<ChangeStream<Stock>> {
    let stocks = market.stocks();
    let watch = stocks.watch().pipeline([filter()]).max_await_time(AWAIT);
    let watch = watch.patience(Duration::ZERO).start_over_when_lost();
    match after {
        Some(token) => watch.start_after(token).await,
        None => watch.await,
    }
}

struct Reader {
    market: Market,
    stream: ChangeStream<Stock>,
    /// Whether a stream that begins now is followed by reading the prices.
    snapshot: bool,
    /// The prices are to be read as soon as the stream is open again.
    unread: bool,
    /// Where stream and snapshot overlap, until the stream has passed it.
    overlap: Option<Overlap>,
    away: bool,
    sender: mpsc::Sender<Signal>,
}

/// The stretch of the stream whose events may be part of the snapshot: the server tells when the snapshot was read at
/// the latest, not when exactly. Of each row only the last event counts, and only if it differs from the snapshot.
struct Overlap {
    /// When the snapshot had been read: an empty batch that the server held back for its whole time since then says
    /// that nothing older is on its way.
    read: Instant,
    until: Timestamp,
    prices: Prices,
    held: BTreeMap<usize, Tick>,
}

impl Overlap {
    /// True if the event is within the overlap.
    fn covers(&self, event: &ChangeEvent<Stock>) -> bool {
        event.cluster_time.is_some_and(|time| time <= self.until)
    }

    /// What the snapshot did not know.
    fn news(self) -> impl Iterator<Item = Tick> {
        let prices = self.prices;
        self.held.into_values().filter(move |tick| prices.get(tick.row) != Some(&tick.price))
    }
}

impl Reader {
    /// Reads until nobody listens any more.
    async fn run(mut self) {
        while !self.sender.is_closed() {
            match tokio::time::timeout(SILENT, self.stream.next_if_any()).await {
                Ok(Ok(_)) if !self.stream.is_alive() => self.reopen().await,
                Ok(Ok(event)) => self.answered(event).await,
                Ok(Err(error)) if error.is_history_lost() => {
                    self.unread = self.snapshot;
                    self.overlap = None;
                    self.say(Signal::Link(Link::HistoryLost)).await;
                }
                Ok(Err(error)) => self.lost_sight(one_line(&error)).await,
                // The connector is looking for the server; the question itself goes on.
                Err(_) => self.lost_sight("the server does not answer".to_owned()).await,
            }
        }
    }

    /// The server answered, with an event or without.
    async fn answered(&mut self, event: Option<ChangeEvent<Stock>>) {
        if self.unread
            && let Err(error) = self.read_prices().await
        {
            // Nothing is lost with the event: the prices are read later than it happened.
            return self.lost_sight(one_line(&error)).await;
        }
        self.unread = false;
        if std::mem::take(&mut self.away) {
            self.say(Signal::Link(Link::Live)).await;
        }
        match event {
            Some(event) => self.deliver(event).await,
            None if self
                .overlap
                .as_ref()
                .is_some_and(|overlap| overlap.read.elapsed() >= AWAIT) =>
            {
                self.end_overlap().await;
            }
            None => {}
        }
    }

    async fn lost_sight(&mut self, cause: String) {
        self.away = true;
        self.say(Signal::Link(Link::Reconnecting { cause })).await;
    }

    async fn reopen(&mut self) {
        tokio::time::sleep(REOPEN_EVERY).await;
        match watch(&self.market, self.stream.resume_token()).await {
            Ok(stream) => self.stream = stream,
            Err(error) => self.lost_sight(one_line(&error)).await,
        }
    }

    /// Reads the prices of a stream that is open already.
    async fn read_prices(&mut self) -> headwater::Result<()> {
        let (prices, until) = read_prices(&self.market).await?;
        let read = Instant::now();
        let held = BTreeMap::new();
        self.overlap = until.map(|until| Overlap { read, until, prices, held });
        self.say(Signal::Snapshot(Box::new(prices))).await;
        Ok(())
    }

    async fn deliver(&mut self, event: ChangeEvent<Stock>) {
        let emptied = matches!(
            event.operation,
            OperationType::Drop | OperationType::Rename | OperationType::DropDatabase
        );
        let within = self.overlap.as_ref().is_some_and(|overlap| overlap.covers(&event));
        match (tick(event), &mut self.overlap) {
            (Some(tick), Some(overlap)) if within => {
                overlap.held.insert(tick.row, tick);
            }
            (Some(tick), _) => {
                self.end_overlap().await;
                self.say(Signal::Tick(Box::new(tick))).await;
            }
            (None, _) if emptied => {
                self.end_overlap().await;
                self.say(Signal::Emptied).await;
            }
            (None, _) => {}
        }
    }

    async fn end_overlap(&mut self) {
        for tick in self.overlap.take().into_iter().flat_map(Overlap::news) {
            self.say(Signal::Tick(Box::new(tick))).await;
        }
    }

    async fn say(&mut self, signal: Signal) {
        // A reader that has gone is noticed where the loop looks for it.
        let _ = self.sender.send(signal).await;
    }
}

/// What the stream lets through: price updates and other changes of familiar symbols, and the end of the collection.
fn filter() -> Document {
    let names: Vec<&str> = FAMILIAR.iter().map(|symbol| symbol.name).collect();
    doc! { "$match": { "$or": [
        {
            "operationType": "update",
            "updateDescription.updatedFields.price": { "$exists": true },
            "documentKey._id": { "$in": names.clone() },
        },
        {
            "operationType": { "$in": ["insert", "replace", "delete"] },
            "documentKey._id": { "$in": names },
        },
        { "operationType": { "$in": ["drop", "rename", "dropDatabase", "invalidate"] } },
    ] } }
}

fn tick(event: ChangeEvent<Stock>) -> Option<Tick> {
    let operation = match event.operation {
        OperationType::Insert => Operation::Insert,
        OperationType::Update => Operation::Update,
        OperationType::Replace => Operation::Replace,
        OperationType::Delete => Operation::Delete,
        _ => return None,
    };
    let row = row_of(event.document_key.as_ref()?.get_str("_id").ok()?)?;
    let price = match operation {
        Operation::Update => {
            event.update.as_ref().and_then(|update| price_in(&update.updated_fields))
        }
        Operation::Insert | Operation::Replace => event.full_document.and_then(|full| full.price),
        Operation::Delete => None,
    };
    Some(Tick {
        row,
        operation,
        price,
        cluster_time: event.cluster_time,
        wall_time: event.wall_time,
        received: SystemTime::now(),
        token: event.token,
    })
}

/// Reads the prices of all rows, and the time by which they had been read.
async fn read_prices(market: &Market) -> headwater::Result<(Prices, Option<Timestamp>)> {
    let names: Vec<&str> = FAMILIAR.iter().map(|symbol| symbol.name).collect();
    let find = doc! {
        "find": COLLECTION,
        "filter": { "_id": { "$in": names } },
        "singleBatch": true,
    };
    let reply = market.database().run_command(find).await?;
    let mut prices = Prices::default();
    let cursor = reply.get_document("cursor");
    let batch = cursor.and_then(|cursor| cursor.get_array("firstBatch"));
    for document in batch.into_iter().flatten().filter_map(Bson::as_document) {
        if let Some(row) = document.get_str("_id").ok().and_then(row_of)
            && let Some(price) = prices.get_mut(row)
        {
            *price = price_in(document);
        }
    }
    Ok((prices, reply.get_timestamp("operationTime").ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater::bson::deserialize_from_document;

    fn event(fields: Document) -> ChangeEvent<Stock> {
        let mut event = doc! { "_id": { "_data": "00" } };
        event.extend(fields);
        deserialize_from_document(event).unwrap()
    }

    #[test]
    fn an_update_becomes_a_tick() {
        let event = event(doc! {
            "operationType": "update",
            "documentKey": { "_id": "MDB" },
            "updateDescription": { "updatedFields": { "price": 97 }, "removedFields": [] },
            "clusterTime": Timestamp { time: 7, increment: 2 },
        });
        let tick = tick(event).unwrap();
        assert_eq!((tick.row, tick.operation, tick.price), (8, Operation::Update, Some(97)));
        assert_eq!(tick.cluster_time, Some(Timestamp { time: 7, increment: 2 }));
    }

    #[test]
    fn b17_insert_replace_and_delete_become_ticks() {
        for (name, price) in [("insert", Some(31)), ("replace", Some(31)), ("delete", None)] {
            let mut fields = doc! { "operationType": name, "documentKey": { "_id": "IBM" } };
            if price.is_some() {
                fields.insert("fullDocument", doc! { "_id": "IBM", "price": 31_i64 });
            }
            let tick = tick(event(fields)).unwrap();
            assert_eq!((tick.row, tick.operation.name(), tick.price), (1, name, price));
        }
    }

    #[test]
    fn b13_of_the_overlap_only_the_last_news_of_each_row_count() {
        let at = |increment| Timestamp { time: 7, increment };
        let update = |symbol: &str, price: i32, increment| {
            event(doc! {
                "operationType": "update",
                "documentKey": { "_id": symbol },
                "updateDescription": { "updatedFields": { "price": price }, "removedFields": [] },
                "clusterTime": at(increment),
            })
        };
        let prices = [Some(50); FAMILIAR.len()];
        let mut overlap =
            Overlap { read: Instant::now(), until: at(5), prices, held: BTreeMap::new() };
        // ADBE went 49, 50: the snapshot has both. IBM went 50, 51: the snapshot has the first only.
        for (symbol, price) in [("ADBE", 49), ("IBM", 50), ("ADBE", 50), ("IBM", 51)] {
            let event = update(symbol, price, 5);
            assert!(overlap.covers(&event));
            let tick = tick(event).unwrap();
            overlap.held.insert(tick.row, tick);
        }
        assert!(!overlap.covers(&update("IBM", 52, 6)));
        let news: Vec<_> = overlap.news().map(|tick| (tick.row, tick.price)).collect();
        assert_eq!(news, [(1, Some(51))]);
    }

    #[test]
    fn other_events_are_no_ticks() {
        assert!(tick(event(doc! { "operationType": "drop" })).is_none());
        let unknown = doc! { "operationType": "delete", "documentKey": { "_id": "A10000" } };
        assert!(tick(event(unknown)).is_none());
    }
}
