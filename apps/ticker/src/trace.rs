//! TRACE: a line for each change of a familiar symbol.

use std::path::PathBuf;

use headwater::{FileTokenStore, TokenStore};

use crate::clock::{from_millis, millis_between, time_of_day, universal};
use crate::error::{Error, Result};
use crate::feed::{Feed, Link, Operation, Signal, Tick};
use crate::market::{COLLECTION, DATABASE, Market};
use crate::output;
use crate::stop::Stop;
use crate::symbols::FAMILIAR;

/// What TRACE prints.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// Add the server's time and the delay.
    pub cluster_time: bool,
    /// One JSON object per line, nothing else on standard output.
    pub json: bool,
    /// Inserts, deletes and replacements too.
    pub all: bool,
    /// Where the position is kept.
    pub resume_file: Option<PathBuf>,
}

/// Prints changes until told to end.
///
/// # Errors
/// Exit code 3 if the collection is empty or the server has no change streams; the resume file cannot be used.
pub async fn run(market: &Market, style: Style, mut stop: Stop) -> Result<()> {
    if market.is_empty().await? {
        return Err(refusal());
    }
    let store = style.resume_file.as_ref().map(FileTokenStore::new);
    let after = match &store {
        Some(store) => store.load().await.map_err(|error| unusable(store, &error))?,
        None => None,
    };
    let mut feed = Feed::open(market, false, after).await?;
    if !style.json {
        output::line(&format!(
            "-- Continuously listening & displaying any updates that occur on\n   key stock symbols in \
             collection \"{DATABASE}.{COLLECTION}\""
        ))?;
    }
    let mut away = false;
    loop {
        let signal = tokio::select! {
            biased;
            _ = stop.wait() => return Ok(()),
            signal = feed.next() => signal,
        };
        match signal {
            Signal::Tick(tick) if tick.operation != Operation::Update && !style.all => {}
            Signal::Tick(tick) => {
                let text = if style.json { json(&tick) } else { line(&tick, style.cluster_time) };
                output::line(&text)?;
                if let Some(store) = &store {
                    store.save(&tick.token).await.map_err(|error| unusable(store, &error))?;
                }
            }
            Signal::Snapshot(_) => {}
            Signal::Emptied => {
                output::note("-- collection dropped; waiting for it to be loaded again")
            }
            Signal::Link(Link::HistoryLost) => {
                output::note("-- position too old: changes in between were missed");
            }
            Signal::Link(Link::Reconnecting { cause }) => {
                if !away {
                    output::note(&format!("-- reconnecting: {cause}"));
                }
                away = true;
            }
            Signal::Link(Link::Live) => {
                if away {
                    output::note("-- connected again");
                }
                away = false;
            }
        }
    }
}

/// The line of a change. An update reads as in the original.
pub fn line(tick: &Tick, cluster_time: bool) -> String {
    let word = match tick.operation {
        Operation::Update => "tick",
        other => other.name(),
    };
    let price = tick.price.map_or_else(|| "--".to_owned(), |price| price.to_string());
    let time = time_of_day(tick.received);
    let mut text = format!("Stock {} \t{word}: {price} \t time: {time}", name(tick));
    if cluster_time {
        text += &match tick.wall_time {
            Some(wall) => {
                let server = from_millis(wall.timestamp_millis());
                let delay = millis_between(server, tick.received);
                format!(" \t server: {} \t delay: {delay} ms", time_of_day(server))
            }
            None => match tick.cluster_time {
                // Only whole seconds are known: no delay can be told.
                Some(time) => {
                    let server = from_millis(i64::from(time.time) * 1_000);
                    format!(" \t server: {}", time_of_day(server))
                }
                None => " \t server: --".to_owned(),
            },
        };
    }
    text
}

/// The JSON object of a change.
pub fn json(tick: &Tick) -> String {
    let or_null = |text: Option<String>| text.unwrap_or_else(|| "null".to_owned());
    let wall = tick.wall_time.map(|wall| from_millis(wall.timestamp_millis()));
    let cluster =
        tick.cluster_time.map(|at| format!("{{\"t\":{},\"i\":{}}}", at.time, at.increment));
    format!(
        "{{\"symbol\":\"{}\",\"operation\":\"{}\",\"price\":{},\"time\":\"{}\",\"serverTime\":{},\
         \"clusterTime\":{},\"delayMs\":{}}}",
        name(tick),
        tick.operation.name(),
        or_null(tick.price.map(|price| price.to_string())),
        universal(tick.received),
        or_null(wall.map(|wall| format!("\"{}\"", universal(wall)))),
        or_null(cluster),
        or_null(wall.map(|wall| millis_between(wall, tick.received).to_string())),
    )
}

fn name(tick: &Tick) -> &'static str {
    FAMILIAR.get(tick.row).map_or("", |symbol| symbol.name)
}

fn refusal() -> Error {
    Error::refused(format!(
        "-- Listen for changes on collection \"{DATABASE}.{COLLECTION}\" aborted because\n   \
         collection does not exist (run with command \"INIT\" first)"
    ))
}

fn unusable(store: &FileTokenStore, cause: &std::io::Error) -> Error {
    Error::failed(format!("resume file {}: {cause}", store.path().display()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use headwater::ResumeToken;
    use headwater::bson::{DateTime, Timestamp, doc};

    use super::*;

    fn tick(operation: Operation, price: Option<i64>) -> Tick {
        Tick {
            row: 8,
            operation,
            price,
            cluster_time: Some(Timestamp { time: 1_700_000_000, increment: 3 }),
            wall_time: Some(DateTime::from_millis(1_700_000_000_100)),
            received: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_112),
            token: ResumeToken::from(doc! { "_data": "82AB" }),
        }
    }

    /// `^Stock [A-Z]+ \ttick: \d+ \t time: \d\d:\d\d:\d\d\.\d{4}$` without a library for patterns.
    fn fits(line: &str) -> bool {
        let parts: Vec<&str> = line.split('\t').collect();
        let [stock, tick, time] = parts[..] else { return false };
        let symbol = stock.strip_prefix("Stock ").and_then(|rest| rest.strip_suffix(' '));
        let price = tick.strip_prefix("tick: ").and_then(|rest| rest.strip_suffix(' '));
        let clock = time.strip_prefix(" time: ").map(|clock| {
            clock.len() == 13
                && clock.char_indices().all(|(at, c)| match at {
                    2 | 5 => c == ':',
                    8 => c == '.',
                    _ => c.is_ascii_digit(),
                })
        });
        symbol.is_some_and(|s| !s.is_empty() && s.chars().all(|c| c.is_ascii_uppercase()))
            && price.is_some_and(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_digit()))
            && clock == Some(true)
    }

    #[test]
    fn t6_line_fits_the_pattern() {
        let text = line(&tick(Operation::Update, Some(97)), false);
        assert!(fits(&text), "{text}");
        assert!(!fits(&line(&tick(Operation::Delete, None), false)));
    }

    #[test]
    fn b22_cluster_time_adds_server_time_and_delay() {
        let text = line(&tick(Operation::Update, Some(97)), true);
        assert!(text.ends_with(" \t delay: 12 ms"), "{text}");
        let mut old = tick(Operation::Update, Some(97));
        old.wall_time = None;
        assert!(line(&old, true).contains(" \t server: "));
    }

    #[test]
    fn b22_json_is_one_object_per_line() {
        assert_eq!(
            json(&tick(Operation::Update, Some(97))),
            "{\"symbol\":\"MDB\",\"operation\":\"update\",\"price\":97,\
             \"time\":\"2023-11-14T22:13:20.112Z\",\"serverTime\":\"2023-11-14T22:13:20.100Z\",\
             \"clusterTime\":{\"t\":1700000000,\"i\":3},\"delayMs\":12}"
        );
        assert!(json(&tick(Operation::Delete, None)).contains("\"price\":null"));
    }

    #[test]
    fn t3_refusal_text() {
        assert_eq!(
            refusal().to_string(),
            "-- Listen for changes on collection \"market.stocksymbols\" aborted because\n   \
             collection does not exist (run with command \"INIT\" first)"
        );
    }
}
