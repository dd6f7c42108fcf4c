//! Moments that reads share: the snapshot of each read with the concern `snapshot` stays for a while, so that later reads
//! can ask for the same moment (`atClusterTime`). Knows no commands.
//!
//! A snapshot keeps old pages from being used again, so it stays for a minute at most, and there are few: MongoDB's own
//! window is five minutes. Who comes later is told that the moment is too old.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_store::Snapshot;
use parking_lot::{ArcMutexGuard, Mutex, RawMutex};

use super::Shared;
use crate::catalog::Catalog;
use crate::error::{Code, Error, Result};
use crate::limits::{SNAPSHOT_SECONDS_MAX, SNAPSHOTS_KEPT_MAX};
use crate::query::run::time_is_up;

/// The moments that can be read at, by the cluster time they were asked for with.
#[derive(Default)]
pub struct Snapshots(Mutex<BTreeMap<u64, Arc<Moment>>>);

/// One moment: what collections there were, and what was in them.
struct Moment {
    catalog: Arc<Catalog>,
    /// Used by one thread at a time.
    snapshot: Arc<Mutex<Snapshot>>,
    since: Instant,
}

/// A moment while it is read at; the next read can have it when this ends.
pub struct Lent {
    /// What collections there were.
    pub catalog: Arc<Catalog>,
    /// What was in them.
    pub snapshot: ArcMutexGuard<RawMutex, Snapshot>,
    /// The cluster time of the moment.
    pub time: u64,
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshots").field("kept", &self.0.lock().len()).finish()
    }
}

impl Snapshots {
    /// The moment of a cluster time, or with `None` that of now, which is kept from now on. Waits for another read at the
    /// same moment, until `deadline`.
    ///
    /// # Errors
    /// `SnapshotTooOld` (239) for a moment that is not kept, `InvalidOptions` (72) for one that has not come yet,
    /// `MaxTimeMSExpired` (50); those of the store.
    pub fn at(
        &self,
        shared: &Shared,
        time: Option<u64>,
        deadline: Option<Instant>,
    ) -> Result<Lent> {
        let last = shared.store.last();
        let (time, moment) = match time {
            Some(time) if time > last => return Err(not_yet(time, last)),
            Some(time) => self.kept(time).map_or_else(|| self.keep(shared, Some(time)), Ok)?,
            None => self.keep(shared, None)?,
        };
        if !shared.store.wait_durable(time, deadline)? {
            return Err(time_is_up());
        }
        moment.lend(time, deadline)
    }

    fn kept(&self, time: u64) -> Option<(u64, Arc<Moment>)> {
        let moments = self.0.lock();
        let moment = moments.get(&time).filter(|moment| !moment.is_over())?;
        Some((time, Arc::clone(moment)))
    }

    /// Keeps the moment of now; it must be the one of `time`, if that is given.
    fn keep(&self, shared: &Shared, time: Option<u64>) -> Result<(u64, Arc<Moment>)> {
        let (catalog, snapshot) = shared.read()?;
        let now = snapshot.seq();
        if let Some(time) = time.filter(|time| *time != now) {
            return Err(too_old(time));
        }
        if let Some(kept) = self.kept(now) {
            return Ok(kept);
        }
        let snapshot = Arc::new(Mutex::new(snapshot));
        let moment = Arc::new(Moment { catalog, snapshot, since: Instant::now() });
        let mut moments = self.0.lock();
        moments.retain(|_, moment| !moment.is_over());
        while moments.len() >= SNAPSHOTS_KEPT_MAX {
            moments.pop_first();
        }
        moments.insert(now, Arc::clone(&moment));
        Ok((now, moment))
    }

    /// Lets go of what was kept long enough.
    pub fn expire(&self) {
        self.0.lock().retain(|_, moment| !moment.is_over());
    }

    /// Lets go of everything.
    pub fn clear(&self) {
        self.0.lock().clear();
    }
}

impl Moment {
    fn is_over(&self) -> bool {
        self.since.elapsed() >= Duration::from_secs(SNAPSHOT_SECONDS_MAX)
    }

    fn lend(&self, time: u64, deadline: Option<Instant>) -> Result<Lent> {
        let end = self.since + Duration::from_secs(SNAPSHOT_SECONDS_MAX);
        let until = deadline.map_or(end, |deadline| deadline.min(end));
        match self.snapshot.try_lock_arc_until(until) {
            Some(snapshot) => Ok(Lent { catalog: Arc::clone(&self.catalog), snapshot, time }),
            None => Err(if until == end { too_old(time) } else { time_is_up() }),
        }
    }
}

fn shown(time: u64) -> String {
    format!("Timestamp({}, {})", time >> 32, time & 0xffff_ffff)
}

#[cold]
fn too_old(time: u64) -> Error {
    let message = format!(
        "Read timestamp {} is older than the oldest available timestamp: a snapshot is kept for {SNAPSHOT_SECONDS_MAX} seconds after the first read with it",
        shown(time)
    );
    Error::new(Code::SNAPSHOT_TOO_OLD, message)
}

#[cold]
fn not_yet(time: u64, last: u64) -> Error {
    let message = format!(
        "readConcern atClusterTime value must not be greater than the current clusterTime. Requested clusterTime: {}; current clusterTime: {}",
        shown(time),
        shown(last)
    );
    Error::new(Code::INVALID_OPTIONS, message)
}
