//! A market of its own for each test, on a database that this process runs and the commands under test join.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use headwater::bson::{Document, doc};
use headwater::{Collection, Headwater};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::binary::run;

/// Tests that measure time run alone; the others run beside each other.
static QUIET: RwLock<()> = RwLock::const_new(());

pub(crate) async fn alone() -> RwLockWriteGuard<'static, ()> {
    QUIET.write().await
}

pub(crate) async fn beside_others() -> RwLockReadGuard<'static, ()> {
    QUIET.read().await
}

/// A data folder that goes with this value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ticker-it-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A database on a folder of its own.
pub(crate) struct Market {
    pub(crate) headwater: Headwater,
    pub(crate) folder: Folder,
}

impl Market {
    /// Without any document.
    pub(crate) async fn empty() -> Market {
        let folder = Folder::new();
        let headwater = Headwater::open_shared(folder.path()).await.unwrap();
        Market { headwater, folder }
    }

    /// Loaded by INIT.
    pub(crate) async fn loaded(numbers: u32) -> Market {
        let market = Market::empty().await;
        let output = run(market.path(), &["init", "--numbers", &numbers.to_string()]);
        assert_eq!(output.code, Some(0), "{output:?}");
        market
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn stocks(&self) -> Collection<Document> {
        self.headwater.database("market").collection("stocksymbols")
    }

    pub(crate) async fn count(&self) -> u64 {
        self.stocks().count(doc! {}).await.unwrap()
    }

    pub(crate) async fn set(&self, symbol: &str, price: i32) {
        let update = doc! { "$set": { "price": price } };
        let result = self.stocks().update_one(doc! { "_id": symbol }, update).await.unwrap();
        assert_eq!(result.modified_count, 1, "{symbol} {price}");
    }
}
