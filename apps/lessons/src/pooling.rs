//! Lecture 1, connection pooling: what a pool is and what it is not. Counts come from the pool's events and are held
//! against the server's own figure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater::bson::doc;
use headwater::{ConfigBuilder, Headwater};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::deployment::Deployment;
use crate::error::{Error, Result};
use crate::expectations::Expectations;
use crate::output;

const COLLECTION: &str = "pooling";
const POOL: u32 = 50;
const OPERATIONS: usize = 500;
const TASKS: usize = 200;
const CLIENTS: u32 = 200;
/// How long the server may take to notice that a connection is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Shows the scenario.
///
/// # Errors
/// An expectation does not hold, or the server fails.
pub async fn run(deployment: &Deployment) -> Result<()> {
    let mut expectations = Expectations::default();
    let documents = deployment.collection(COLLECTION);
    documents.drop_collection().await?;
    documents.insert_many((0..100).map(|n| doc! { "_id": n })).await?;

    sizes(&mut expectations)?;
    bursts(deployment, &mut expectations).await?;
    one_shared(deployment, &mut expectations).await?;
    two_pools(deployment, &mut expectations).await?;
    after_close(deployment, &mut expectations).await?;
    documents.drop_collection().await?;
    expectations.met()
}

fn sizes(expectations: &mut Expectations) -> Result<()> {
    let uri = "mongodb://127.0.0.1";
    let default = headwater::Config::builder().uri(uri).build()?.max_pool_size();
    output::line(&format!("default maximum pool size: {default}"))?;
    expectations.expect(default == 100, || "a default of 100".to_owned());
    let config = headwater::Config::builder().uri(uri).max_pool_size(POOL).build()?;
    output::line(&format!("configured maximum pool size: {}", config.max_pool_size()))?;
    expectations.expect(config.max_pool_size() == POOL, || format!("a size of {POOL}"));
    Ok(())
}

async fn bursts(deployment: &Deployment, expectations: &mut Expectations) -> Result<()> {
    // On demand, as many at once as are asked for: the driver's own limit is two at a time.
    let at_once = |config: ConfigBuilder| config.max_pool_size(POOL).max_connecting(POOL);
    let client = deployment.another(at_once).await?;
    burst(deployment, &client).await?;
    let used = client.pool_stats().created();
    output::line(&format!("burst of {OPERATIONS} operations used {used} connections"))?;
    expectations.expect(used <= u64::from(POOL), || format!("at most {POOL} connections"));
    let on_server = connections(deployment).await?;
    let open = client.pool_stats().size();
    expectations.expect(on_server >= open, || {
        format!("the server to have the {open} connections of the pool, it has {on_server}")
    });
    burst(deployment, &client).await?;
    let opened = client.pool_stats().created() - used;
    output::line(&format!("second burst opened {opened} new connections"))?;
    expectations.expect(opened == 0, || "no new connection".to_owned());
    client.close().await;
    Ok(())
}

/// Reads by many tasks that begin at the same moment.
async fn burst(deployment: &Deployment, client: &Headwater) -> Result<()> {
    let name = deployment.database().name().to_owned();
    let begin = Arc::new(Barrier::new(TASKS));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let documents = client.database(&name).collection::<headwater::bson::Document>(COLLECTION);
        let begin = begin.clone();
        let reads = OPERATIONS / TASKS + usize::from(task < OPERATIONS % TASKS);
        tasks.spawn(async move {
            begin.wait().await;
            for read in 0..reads {
                let id = i32::try_from((task + read) % 100).unwrap_or_default();
                documents.find_one(doc! { "_id": id }).await?;
            }
            headwater::Result::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| Error::failed(error.to_string()))??;
    }
    Ok(())
}

async fn one_shared(deployment: &Deployment, expectations: &mut Expectations) -> Result<()> {
    let name = deployment.database().name().to_owned();
    let begun = Instant::now();
    for id in 0..CLIENTS {
        let client = deployment.another(|config| config).await?;
        read(&client, &name, id).await?;
        client.close().await;
    }
    let own = begun.elapsed().as_millis();
    let begun = Instant::now();
    let client = deployment.another(|config| config).await?;
    for id in 0..CLIENTS {
        read(&client, &name, id).await?;
    }
    client.close().await;
    let shared = begun.elapsed().as_millis();
    output::line(&format!("one client per operation: {own} ms, one shared client: {shared} ms"))?;
    expectations.expect(shared < own, || "the shared client to be faster".to_owned());
    Ok(())
}

async fn read(client: &Headwater, database: &str, id: u32) -> Result<()> {
    let documents = client.database(database).collection::<headwater::bson::Document>(COLLECTION);
    documents.find_one(doc! { "_id": id % 100 }).await?;
    Ok(())
}

async fn two_pools(deployment: &Deployment, expectations: &mut Expectations) -> Result<()> {
    let one = deployment.another(|config| config).await?;
    let other = deployment.another(|config| config).await?;
    one.ping().await?;
    // The first one has a connection to lend; the other one does not get it.
    let apart = one.pool_stats().created() == 1 && other.pool_stats().created() == 0;
    other.ping().await?;
    let own = one.pool_stats().created() == 1 && other.pool_stats().created() == 1;
    let two = if apart && own { "yes" } else { "no" };
    output::line(&format!("two clients own two pools: {two}"))?;
    expectations.expect(apart && own, || "each client to open a connection of its own".to_owned());
    one.close().await;
    other.close().await;
    Ok(())
}

async fn after_close(deployment: &Deployment, expectations: &mut Expectations) -> Result<()> {
    let before = settled(deployment).await?;
    let client = deployment.another(|config| config.max_pool_size(POOL)).await?;
    burst(deployment, &client).await?;
    let open = connections(deployment).await?;
    expectations.expect(open > before, || "connections that the server can count".to_owned());
    client.close().await;
    let begun = Instant::now();
    let left = loop {
        let left = connections(deployment).await?.saturating_sub(before);
        if left == 0 || begun.elapsed() >= PATIENCE {
            break left;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    output::line(&format!("connections left after close: {left}"))?;
    expectations.expect(left == 0, || "every connection to be closed".to_owned());
    Ok(())
}

/// The server's figure once earlier clients are gone from it.
async fn settled(deployment: &Deployment) -> Result<u64> {
    let begun = Instant::now();
    let mut figure = connections(deployment).await?;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let next = connections(deployment).await?;
        if next >= figure || begun.elapsed() >= PATIENCE {
            return Ok(next);
        }
        figure = next;
    }
}

async fn connections(deployment: &Deployment) -> Result<u64> {
    let status = deployment.server_status().await?;
    let connections = status.get_document("connections").ok();
    let current = connections.and_then(|figures| figures.get_i32("current").ok());
    let current = current.and_then(|figure| u64::try_from(figure).ok());
    current.ok_or_else(|| Error::failed("the server does not count its connections"))
}
