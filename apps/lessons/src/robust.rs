//! Lecture 2, robust client configuration: a write concern with a limit, and errors of server selection that are
//! handled. Faults are real ones or those of the server's test commands.

mod relay;

use std::time::{Duration, Instant};

use headwater::bson::{Bson, Document, doc};
use headwater::options::{Acknowledgment, ServerAddress, Tls, WriteConcern};
use headwater::{Collection, ConfigBuilder, ErrorKind, Headwater};

use self::relay::Relay;
use crate::deployment::Deployment;
use crate::error::{Error, Result};
use crate::expectations::Expectations;
use crate::output;

const COLLECTION: &str = "robust";
const W_TIMEOUT: Duration = Duration::from_millis(2_500);
const SELECTION: Duration = Duration::from_millis(2_000);
/// How much later than its limit a timeout may come.
const SLACK: Duration = Duration::from_millis(500);
const WRITE_CONCERN_FAILED: i32 = 64;
const UNSATISFIABLE: i32 = 100;

/// Shows the scenario.
///
/// # Errors
/// An expectation does not hold, or the server fails.
pub async fn run(deployment: &Deployment) -> Result<()> {
    let mut expectations = Expectations::default();
    let settings = |config: ConfigBuilder| config.w(Acknowledgment::Majority).w_timeout(W_TIMEOUT);
    let client = deployment.another(settings).await?;
    let documents = client.database(deployment.database().name()).collection(COLLECTION);
    documents.drop_collection().await?;

    print_concern(&documents, &mut expectations)?;
    documents.insert_one(doc! { "_id": "healthy" }).await?;
    output::line("majority write acknowledged")?;
    held_back(&client, &documents, &mut expectations).await?;
    unsatisfiable(&client, &documents, &mut expectations).await?;
    no_server(&mut expectations).await?;
    default_limit(&mut expectations)?;
    recovery(deployment, &mut expectations).await?;
    documents.drop_collection().await?;
    client.close().await;
    expectations.met()
}

fn print_concern(documents: &Collection<Document>, expectations: &mut Expectations) -> Result<()> {
    let concern = documents.write_concern().cloned().unwrap_or_default();
    let w = match &concern.w {
        Some(Acknowledgment::Majority) => "majority".to_owned(),
        Some(Acknowledgment::Nodes(nodes)) => nodes.to_string(),
        Some(other) => format!("{other:?}"),
        None => "default".to_owned(),
    };
    let limit = concern.w_timeout.unwrap_or_default();
    output::line(&format!("write concern: w={w} wtimeout={}", limit.as_millis()))?;
    expectations.expect(w == "majority" && limit == W_TIMEOUT, || {
        "majority with a limit of 2500 ms".to_owned()
    });
    Ok(())
}

/// A write that is applied and not acknowledged in time. The server's fail point takes the place of a member that is
/// away: it holds the answer back as long as the limit says, then tells what a server tells in that case.
async fn held_back(
    client: &Headwater,
    documents: &Collection<Document>,
    expectations: &mut Expectations,
) -> Result<()> {
    let admin = client.database("admin");
    let limit = i64::try_from(W_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
    let unmet = doc! {
        "code": WRITE_CONCERN_FAILED,
        "codeName": "WriteConcernFailed",
        "errmsg": "waiting for replication timed out",
        "errInfo": { "wtimeout": true },
    };
    let data = doc! {
        "failCommands": ["insert"],
        "namespace": documents.namespace(),
        "blockConnection": true,
        "blockTimeMS": limit,
        "writeConcernError": unmet,
    };
    let hold = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
    if let Err(error) = admin.run_command(hold).await {
        let code = error.code().ok_or(error)?;
        let reason = "the deployment gives no means to hold a write back";
        return output::line(&format!("skipped: {reason} (configureFailPoint: code {code})"));
    }
    output::note("the write is held back by the server's fail point, not by a stopped member");
    let begun = Instant::now();
    let outcome = documents.insert_one(doc! { "_id": "held back" }).await;
    let taken = begun.elapsed();
    let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    admin.run_command(off).await?;
    let Err(error) = outcome else {
        return Err(Error::failed("the write that was held back was acknowledged"));
    };
    let unmet = error.write_concern().filter(|unmet| unmet.timed_out);
    let Some(unmet) = unmet else { return Err(error.into()) };
    let applied = if unmet.applied == Some(1) { "was applied" } else { "was not applied" };
    output::line(&format!(
        "write concern timeout after {} ms (code {}), the write itself {applied}",
        taken.as_millis(),
        error.code().unwrap_or_default(),
    ))?;
    expectations.expect(error.code() == Some(WRITE_CONCERN_FAILED), || "code 64".to_owned());
    expectations.expect(unmet.applied == Some(1), || "the write to be applied".to_owned());
    // Tried again it would have failed as a duplicate, so one attempt is what was made.
    expectations.expect(error.attempts() == 1, || "no second attempt".to_owned());
    expectations.expect((W_TIMEOUT..=W_TIMEOUT + SLACK).contains(&taken), || {
        format!("2500 to 3000 ms, not {}", taken.as_millis())
    });
    let present = documents.find_by_id("held back").await?.is_some();
    let answer = if present { "yes" } else { "no" };
    output::line(&format!("document present after timeout: {answer}"))?;
    expectations.expect(present, || "the document".to_owned());
    Ok(())
}

async fn unsatisfiable(
    client: &Headwater,
    documents: &Collection<Document>,
    expectations: &mut Expectations,
) -> Result<()> {
    let hello = client.database("admin").run_command(doc! { "hello": 1 }).await?;
    let members = hello.get_array("hosts").map_or(1, Vec::len);
    let nodes = u32::try_from(members + 1).unwrap_or(u32::MAX);
    let concern =
        WriteConcern::builder().w(Acknowledgment::Nodes(nodes)).w_timeout(Some(W_TIMEOUT)).build();
    let outcome = documents.insert_one(doc! { "_id": "one too many" }).write_concern(concern).await;
    let code = outcome.err().and_then(|error| error.code());
    match code {
        Some(code) => output::line(&format!("write concern not satisfiable (code {code})"))?,
        None => output::line("write concern not satisfiable (no code)")?,
    }
    expectations.expect(code == Some(UNSATISFIABLE), || "code 100".to_owned());
    Ok(())
}

/// The settings of a client that tells at once when its server is away.
fn impatient(config: ConfigBuilder) -> ConfigBuilder {
    config.server_selection_timeout(SELECTION).retry_attempts(1)
}

async fn no_server(expectations: &mut Expectations) -> Result<()> {
    let uri = format!("mongodb://{}/?directConnection=true", Relay::free_address()?);
    let config = impatient(headwater::Config::builder().uri(uri)).build()?;
    let client = Headwater::from_config(config).await?;
    let begun = Instant::now();
    let outcome = client.ping().await;
    let taken = begun.elapsed();
    let kind = outcome.as_ref().err().map(headwater::Error::kind);
    let what = match kind {
        Some(ErrorKind::ServerSelection) => "no server available".to_owned(),
        Some(kind) => kind.to_string(),
        None => "a server answered".to_owned(),
    };
    output::line(&format!("server selection failed after {} ms: {what}", taken.as_millis()))?;
    expectations.expect(kind == Some(ErrorKind::ServerSelection), || {
        "an error of server selection".to_owned()
    });
    expectations.expect((SELECTION..=SELECTION + SLACK).contains(&taken), || {
        format!("2000 to 2500 ms, not {}", taken.as_millis())
    });
    let counted: u64 = client.operation_stats().iter().map(|figures| figures.error).sum();
    expectations.expect(counted == 1, || "the error to be counted".to_owned());
    client.close().await;
    Ok(())
}

fn default_limit(expectations: &mut Expectations) -> Result<()> {
    let config = headwater::Config::builder().uri("mongodb://127.0.0.1").build()?;
    let limit = config.server_selection_timeout().as_millis();
    output::line(&format!("default server selection timeout: {limit} ms"))?;
    expectations.expect(limit == 30_000, || "a default of 30000 ms".to_owned());
    Ok(())
}

/// A client whose server is away at first, and comes back under the same address.
async fn recovery(deployment: &Deployment, expectations: &mut Expectations) -> Result<()> {
    let mut options = deployment.options().await?;
    if matches!(options.tls, Some(Tls::Enabled(_))) {
        return output::line("skipped: a certificate does not fit the address of the relay");
    }
    let Some(server) = options.hosts.first().cloned() else {
        return Err(Error::failed("the deployment has no address"));
    };
    let address = Relay::free_address()?;
    options.hosts =
        vec![ServerAddress::Tcp { host: address.ip().to_string(), port: Some(address.port()) }];
    options.direct_connection = Some(true);
    options.repl_set_name = None;
    options.server_selection_timeout = Some(Duration::from_secs(5));
    let client = Headwater::connect_with(options)?;
    let away = client.ping_within(Duration::from_millis(300)).await;
    let relay = Relay::start(address, server).await?;
    let documents = client.database("admin");
    let back = documents.run_command(doc! { "ping": 1 }).await;
    let recovered = away.is_err() && back.is_ok_and(|reply| is_ok(&reply));
    let answer = if recovered { "yes" } else { "no" };
    output::line(&format!("recovered without a new client: {answer}"))?;
    expectations.expect(recovered, || "the same client to work again".to_owned());
    client.close().await;
    relay.stop();
    Ok(())
}

fn is_ok(reply: &Document) -> bool {
    matches!(reply.get("ok"), Some(Bson::Double(ok)) if *ok == 1.0)
        || matches!(reply.get("ok"), Some(Bson::Int32(1)))
}
