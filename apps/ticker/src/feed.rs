//! The feed of prices: one change stream that outlives failures, and the snapshot it starts from.
//!
//! The stream is opened first and the snapshot read afterwards. Events that may be part of the snapshot are held back
//! until the last of them is known, so that no price is missed and none goes backwards. After a failure the stream
//! continues behind the last event that was delivered. Knows nothing of how prices are shown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use headwater::mongodb::bson::{Bson, DateTime, Document, Timestamp, doc};
use headwater::mongodb::change_stream::ChangeStream;
use headwater::mongodb::change_stream::event::{ChangeStreamEvent, OperationType, ResumeToken};
use headwater::mongodb::error::Error as DriverError;
use rand::Rng;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::{Error, Result, one_line, server_code};
use crate::market::{COLLECTION, Market};
use crate::symbols::{FAMILIAR, row_of};

/// How long the server holds an empty reply back.
const AWAIT: Duration = Duration::from_millis(500);
/// Silence after which the connection counts as lost: said so first, given up later.
const SILENT: Duration = Duration::from_millis(2_000);
const GIVEN_UP: Duration = Duration::from_secs(20);
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// Signals that may wait for a slow reader before the stream itself has to wait.
const BUFFERED: usize = 1_024;

/// `InvalidResumeToken`, `ChangeStreamFatalError` and `ChangeStreamHistoryLost`: the position is worth nothing.
const POSITION_LOST: [i32; 3] = [260, 280, 286];
/// `CommandNotFound`, `CommandNotSupported`, `Location40573` and `Location40324` (unrecognised stage): no change streams here.
const NO_STREAMS: [i32; 4] = [59, 115, 40_573, 40_324];

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
        let (sender, signals) = mpsc::channel(BUFFERED);
        let place = after.map_or(Place::Now, Place::Behind);
        let mut reader = Reader { market: market.clone(), place, overlap: None, snapshot, sender };
        let stream = match reader.start().await {
            Err(error) if is_lost(&error) => {
                reader.forget_place().await;
                reader.start().await
            }
            other => other,
        };
        let stream = stream.map_err(|error| match server_code(&error) {
            Some(code) if NO_STREAMS.contains(&code) => Error::refused(format!(
                "Error: the server offers no change streams: {}",
                one_line(&error)
            )),
            _ => Error::from(error),
        })?;
        let task = tokio::spawn(reader.run(stream));
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

/// Where the stream begins.
#[derive(Debug, Clone)]
enum Place {
    Now,
    Behind(ResumeToken),
    /// Behind an invalidate event, which only `startAfter` accepts.
    BehindInvalidate(ResumeToken),
}

type Stream = ChangeStream<ChangeStreamEvent<Document>>;

struct Reader {
    market: Market,
    place: Place,
    /// Where stream and snapshot overlap, until the stream has passed it.
    overlap: Option<Overlap>,
    snapshot: bool,
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
    fn covers(&self, event: &ChangeStreamEvent<Document>) -> bool {
        event.cluster_time.is_some_and(|time| time <= self.until)
    }

    /// What the snapshot did not know.
    fn news(self) -> impl Iterator<Item = Tick> {
        let prices = self.prices;
        self.held.into_values().filter(move |tick| prices.get(tick.row) != Some(&tick.price))
    }
}

/// Why a stream is not read any further.
enum End {
    Failed(DriverError),
    Silent,
    /// The server closed it; after an invalidate event, or for no stated reason.
    Closed,
    /// Nobody listens any more.
    Unheard,
}

impl Reader {
    async fn run(mut self, stream: Stream) {
        let mut stream = Some(stream);
        let mut back_off = BACK_OFF_MIN;
        loop {
            let cause = match stream.take() {
                Some(open) => match self.read(open).await {
                    End::Unheard => return,
                    End::Closed if matches!(self.place, Place::BehindInvalidate(_)) => None,
                    End::Closed => Some("the server closed the stream".to_owned()),
                    End::Silent => Some("the server has been silent for too long".to_owned()),
                    End::Failed(error) => Some(self.cause_of(&error).await),
                },
                None => None,
            };
            if let Some(cause) = cause {
                self.say(Signal::Link(Link::Reconnecting { cause })).await;
                tokio::time::sleep(jittered(back_off)).await;
                back_off = (back_off * 2).min(BACK_OFF_MAX);
            }
            match self.start().await {
                Ok(open) => {
                    back_off = BACK_OFF_MIN;
                    stream = Some(open);
                }
                Err(error) => {
                    let cause = self.cause_of(&error).await;
                    if self.sender.is_closed() {
                        return;
                    }
                    self.say(Signal::Link(Link::Reconnecting { cause })).await;
                    tokio::time::sleep(jittered(back_off)).await;
                    back_off = (back_off * 2).min(BACK_OFF_MAX);
                }
            }
        }
    }

    /// Says what went wrong in one line, and gives the position up if the server does.
    async fn cause_of(&mut self, error: &DriverError) -> String {
        if is_lost(error) {
            self.forget_place().await;
        }
        one_line(error)
    }

    async fn forget_place(&mut self) {
        self.place = Place::Now;
        self.say(Signal::Link(Link::HistoryLost)).await;
    }

    /// Opens the stream at its place; a stream that begins now is followed by a snapshot.
    async fn start(&mut self) -> std::result::Result<Stream, DriverError> {
        let stocks = self.market.stocks();
        let watch = stocks.watch().pipeline([filter()]).max_await_time(AWAIT);
        let stream = match self.place.clone() {
            Place::Now => watch.await?,
            Place::Behind(token) => watch.resume_after(token).await?,
            Place::BehindInvalidate(token) => watch.start_after(token).await?,
        };
        if matches!(self.place, Place::Now) {
            if self.snapshot {
                let (prices, until) = read_prices(&self.market).await?;
                self.overlap = until.map(|until| Overlap {
                    read: Instant::now(),
                    until,
                    prices,
                    held: BTreeMap::new(),
                });
                self.say(Signal::Snapshot(Box::new(prices))).await;
            }
            if let Some(token) = stream.resume_token() {
                self.place = Place::Behind(token);
            }
        }
        self.say(Signal::Link(Link::Live)).await;
        Ok(stream)
    }

    async fn read(&mut self, mut stream: Stream) -> End {
        loop {
            let next = {
                let next = stream.next_if_any();
                tokio::pin!(next);
                match tokio::time::timeout(SILENT, &mut next).await {
                    Ok(next) => next,
                    Err(_) => {
                        // The driver may be looking for the server on its own.
                        let cause = "the server does not answer".to_owned();
                        self.say(Signal::Link(Link::Reconnecting { cause })).await;
                        match tokio::time::timeout(GIVEN_UP, &mut next).await {
                            Ok(next) => {
                                if next.is_ok() {
                                    self.say(Signal::Link(Link::Live)).await;
                                }
                                next
                            }
                            Err(_) => return End::Silent,
                        }
                    }
                }
            };
            let alive = match next {
                Err(error) => return End::Failed(error),
                Ok(Some(event)) => {
                    let invalidated = event.operation_type == OperationType::Invalidate;
                    self.deliver(event).await;
                    !invalidated
                }
                Ok(None) => {
                    if self.overlap.as_ref().is_some_and(|overlap| overlap.read.elapsed() >= AWAIT)
                    {
                        self.end_overlap().await;
                    }
                    if let (Some(token), Place::Behind(_)) = (stream.resume_token(), &self.place) {
                        self.place = Place::Behind(token);
                    }
                    stream.is_alive()
                }
            };
            if self.sender.is_closed() {
                return End::Unheard;
            }
            if !alive {
                return End::Closed;
            }
        }
    }

    async fn deliver(&mut self, event: ChangeStreamEvent<Document>) {
        let token = event.id.clone();
        let emptied = matches!(
            event.operation_type,
            OperationType::Drop | OperationType::Rename | OperationType::DropDatabase
        );
        self.place = match event.operation_type {
            OperationType::Invalidate => Place::BehindInvalidate(token),
            _ => Place::Behind(token),
        };
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

    async fn say(&self, signal: Signal) {
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

fn tick(event: ChangeStreamEvent<Document>) -> Option<Tick> {
    let operation = match event.operation_type {
        OperationType::Insert => Operation::Insert,
        OperationType::Update => Operation::Update,
        OperationType::Replace => Operation::Replace,
        OperationType::Delete => Operation::Delete,
        _ => return None,
    };
    let row = row_of(event.document_key.as_ref()?.get_str("_id").ok()?)?;
    let price = match operation {
        Operation::Update => {
            event.update_description.as_ref().and_then(|update| price_in(&update.updated_fields))
        }
        Operation::Insert | Operation::Replace => event.full_document.as_ref().and_then(price_in),
        Operation::Delete => None,
    };
    Some(Tick {
        row,
        operation,
        price,
        cluster_time: event.cluster_time,
        wall_time: event.wall_time,
        received: SystemTime::now(),
        token: event.id,
    })
}

fn price_in(document: &Document) -> Option<i64> {
    match document.get("price")? {
        Bson::Int32(price) => Some(i64::from(*price)),
        Bson::Int64(price) => Some(*price),
        Bson::Double(price) if price.fract() == 0.0 && price.abs() < 1e15 => Some(*price as i64),
        _ => None,
    }
}

/// Reads the prices of all rows, and the time by which they had been read.
async fn read_prices(
    market: &Market,
) -> std::result::Result<(Prices, Option<Timestamp>), DriverError> {
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

fn is_lost(error: &DriverError) -> bool {
    server_code(error).is_some_and(|code| POSITION_LOST.contains(&code))
}

/// Between half of the time and all of it, so that many readers do not come back at once.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater::mongodb::bson::deserialize_from_document;

    fn event(fields: Document) -> ChangeStreamEvent<Document> {
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

    #[test]
    fn b14_back_off_has_jitter_and_bounds() {
        for _ in 0..100 {
            let pause = jittered(BACK_OFF_MAX);
            assert!(pause >= BACK_OFF_MAX / 2 && pause <= BACK_OFF_MAX);
        }
    }
}
