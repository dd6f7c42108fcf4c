//! The six figures that the connector promises, each the median of several rounds: throughput, latencies, and the peak of
//! memory beyond the idle process, which runs the database too unless a URI is given. Beside them how much of the bare
//! driver's throughput that is, in rounds that alternate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use headwater::bson::{Document, doc, serialize_to_vec};
use headwater::{Collection, mongodb};

use super::figures::{Memory, median, percentile_ms};
use super::{Plan, Subject, told};

/// Tasks that work at the same time.
const TASKS: usize = 32;
const TASKS_MANY: usize = 100;
const BATCH: usize = 1_000;
/// Documents and departments of the collection that is searched and aggregated.
const PEOPLE: i64 = 10_000;
const DEPARTMENTS: i64 = 100;

/// What one round came to.
struct Round {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    peak_mb: f64,
}

/// What is done, and the promise: things per second, megabytes.
struct Row {
    name: &'static str,
    promise: (f64, f64),
    tasks: usize,
    work: Work,
}

#[derive(Clone, Copy)]
enum Work {
    Insert,
    BulkInsert,
    Find,
    Aggregate,
    Stream,
    Mixed,
}

const ROWS: &[Row] = &[
    Row { name: "single insert", promise: (15_000.0, 2.0), tasks: TASKS, work: Work::Insert },
    Row {
        name: "bulk insert of 1,000",
        promise: (50_000.0, 5.0),
        tasks: 2,
        work: Work::BulkInsert,
    },
    Row { name: "find by _id", promise: (20_000.0, 1.0), tasks: TASKS, work: Work::Find },
    Row { name: "aggregation", promise: (5_000.0, 10.0), tasks: TASKS, work: Work::Aggregate },
    Row { name: "concurrent", promise: (40_000.0, 20.0), tasks: TASKS_MANY, work: Work::Mixed },
    // The last one: dropping what it loads keeps the store busy for a while.
    Row { name: "streaming", promise: (100_000.0, 50.0), tasks: 1, work: Work::Stream },
];

pub(super) fn run(plan: &Plan) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(measure(plan))
}

async fn measure(plan: &Plan) -> Result<(), String> {
    let subject = Subject::open(plan).await?;
    let database = subject.headwater.database("bench");
    let people = database.collection::<Document>("people");
    people.drop_collection().await.map_err(told)?;
    people.bulk_load((0..PEOPLE).map(person)).await.map_err(told)?;
    people.create_index(doc! { "department": 1 }).await.map_err(told)?;
    let bytes = serialize_to_vec(&person(0)).map_err(|e| e.to_string())?.len();
    println!("{} rounds, documents of {bytes} bytes", plan.rounds);
    println!(
        "operation             tasks    per s  (promise)   p50 ms   p99 ms  peak MB  (promise)  x bare"
    );
    let written = database.collection::<Document>("written");
    let driver = mongodb::Client::with_uri_str(subject.headwater.uri()).await;
    let driver = driver.map_err(|error| error.to_string())?.database("bench");
    let ours = Way::Connector { people, written: written.clone() };
    let bare =
        Way::Bare { people: driver.collection("people"), written: driver.collection("written") };
    let wanted = |row: &&Row| plan.only.as_ref().is_none_or(|word| row.name.contains(word));
    for row in ROWS.iter().filter(wanted) {
        written.drop_collection().await.map_err(told)?;
        if matches!(row.work, Work::Stream) {
            let documents = (0..plan.documents as i64).map(person);
            written.bulk_load(documents).await.map_err(told)?;
        }
        let (mut rounds, mut shares) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            let [one, other] = match row.work {
                Work::Stream => [stream(&ours).await?, stream(&bare).await?],
                _ => [round(row, plan, &ours).await?, round(row, plan, &bare).await?],
            };
            shares.push(one.per_second / other.per_second);
            rounds.push(one);
        }
        print(row, &rounds, median(&shares));
    }
    subject.headwater.close().await;
    Ok(())
}

fn print(row: &Row, rounds: &[Round], share: f64) {
    let of = |value: fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<f64>>());
    println!(
        "{:<21} {:>5} {:>8.0} {:>10.0} {:>8.2} {:>8.2} {:>8.1} {:>10.0} {share:>7.2}",
        row.name,
        row.tasks,
        of(|round| round.per_second),
        row.promise.0,
        of(|round| round.p50_ms),
        of(|round| round.p99_ms),
        of(|round| round.peak_mb),
        row.promise.1,
    );
}

/// Tasks that each do the next operation until all are done.
async fn round(row: &Row, plan: &Plan, way: &Way) -> Result<Round, String> {
    let each = if matches!(row.work, Work::BulkInsert) { BATCH } else { 1 };
    let operations = (plan.operations / each).max(1);
    let next = Arc::new(AtomicUsize::new(0));
    let memory = Memory::watch();
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..row.tasks {
        let (next, work) = (Arc::clone(&next), row.work);
        let way = way.clone();
        tasks.push(tokio::spawn(async move {
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= operations {
                    return Ok::<_, String>(times);
                }
                let begun = Instant::now();
                way.operation(work, number as i64).await?;
                times.push(begun.elapsed());
            }
        }));
    }
    let mut times: Vec<Duration> = Vec::with_capacity(operations);
    for task in tasks {
        times.extend(task.await.map_err(|error| error.to_string())??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Round {
        per_second: (operations * each) as f64 / seconds,
        p50_ms: percentile_ms(&mut times, 500),
        p99_ms: percentile_ms(&mut times, 990),
        peak_mb: memory.peak_mb(),
    })
}

/// Who works: the connector, or the bare driver.
#[derive(Clone)]
enum Way {
    Connector { people: Collection<Document>, written: Collection<Document> },
    Bare { people: mongodb::Collection<Document>, written: mongodb::Collection<Document> },
}

impl Way {
    async fn operation(&self, work: Work, number: i64) -> Result<(), String> {
        match self {
            Way::Connector { people, written } => {
                by_connector(work, number, people, written).await.map_err(told)
            }
            Way::Bare { people, written } => {
                let done = by_driver(work, number, people, written).await;
                done.map_err(|error| error.to_string())
            }
        }
    }
}

async fn by_connector(
    work: Work,
    number: i64,
    people: &Collection<Document>,
    written: &Collection<Document>,
) -> headwater::Result<()> {
    let id = number * 7_919 % PEOPLE;
    match work {
        Work::Insert => written.insert_one(fresh(number)).await.map(drop),
        Work::BulkInsert => {
            let documents = (0..BATCH as i64).map(fresh);
            written.insert_many(documents).ordered(false).await.map(drop)
        }
        Work::Find => people.find_by_id(id).await.map(drop),
        Work::Aggregate => people.aggregate(pipeline(number)).all().await.map(drop),
        Work::Stream => Ok(()),
        Work::Mixed => match number % 4 {
            0 => written.insert_one(fresh(number)).await.map(drop),
            1 => people.count(doc! { "_id": id }).await.map(drop),
            2 => people.update_by_id(id, doc! { "$inc": { "age": 1 } }).await.map(drop),
            _ => people.find_by_id(id).await.map(drop),
        },
    }
}

async fn by_driver(
    work: Work,
    number: i64,
    people: &mongodb::Collection<Document>,
    written: &mongodb::Collection<Document>,
) -> mongodb::error::Result<()> {
    let id = doc! { "_id": number * 7_919 % PEOPLE };
    match work {
        Work::Insert => written.insert_one(fresh(number)).await.map(drop),
        Work::BulkInsert => {
            let documents = (0..BATCH as i64).map(fresh);
            written.insert_many(documents).ordered(false).await.map(drop)
        }
        Work::Find => people.find_one(id).await.map(drop),
        Work::Aggregate => {
            let mut cursor = people.aggregate(pipeline(number)).await?;
            while cursor.advance().await? {
                cursor.deserialize_current()?;
            }
            Ok(())
        }
        Work::Stream => Ok(()),
        Work::Mixed => match number % 4 {
            0 => written.insert_one(fresh(number)).await.map(drop),
            1 => people.count_documents(id).await.map(drop),
            2 => people.update_one(id, doc! { "$inc": { "age": 1 } }).await.map(drop),
            _ => people.find_one(id).await.map(drop),
        },
    }
}

/// All documents, one after the other. The latency is that of the first one.
async fn stream(way: &Way) -> Result<Round, String> {
    let memory = Memory::watch();
    let begun = Instant::now();
    let (mut count, mut first_ms) = (0_u64, 0.0);
    let mut seen = |_: Document| {
        if count == 0 {
            first_ms = begun.elapsed().as_secs_f64() * 1e3;
        }
        count += 1;
    };
    match way {
        Way::Connector { written, .. } => {
            let mut cursor = written.find(doc! {}).batch_size(BATCH as u32).await.map_err(told)?;
            while let Some(document) = cursor.next().await {
                seen(document.map_err(told)?);
            }
        }
        Way::Bare { written, .. } => {
            let told = |error: mongodb::error::Error| error.to_string();
            let find = written.find(doc! {}).batch_size(BATCH as u32);
            let mut cursor = find.await.map_err(told)?;
            while cursor.advance().await.map_err(told)? {
                seen(cursor.deserialize_current().map_err(told)?);
            }
        }
    }
    let per_second = count as f64 / begun.elapsed().as_secs_f64();
    Ok(Round { per_second, p50_ms: first_ms, p99_ms: first_ms, peak_mb: memory.peak_mb() })
}

/// One department: by age, with averages, the best paid five.
fn pipeline(number: i64) -> [Document; 4] {
    [
        doc! { "$match": { "department": number % DEPARTMENTS } },
        doc! { "$group": {
            "_id": "$age",
            "average": { "$avg": "$salary" },
            "highest": { "$max": "$salary" },
            "count": { "$sum": 1 },
        } },
        doc! { "$sort": { "average": -1 } },
        doc! { "$limit": 5 },
    ]
}

fn person(number: i64) -> Document {
    let mut person = fresh(number);
    person.insert("_id", number);
    person
}

fn fresh(number: i64) -> Document {
    doc! {
        "name": format!("User_{number}"),
        "email": format!("user_{number}@example.com"),
        "age": 20 + number % 50,
        "department": number % DEPARTMENTS,
        "salary": 30_000 + 100 * (number % 1_000),
    }
}
