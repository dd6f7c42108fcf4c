//! The database inside the process.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use headwater::Headwater;
use headwater::mongodb::Collection;
use headwater::mongodb::bson::{Document, doc};

/// A data folder that goes with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("headwater-it-{}-{count}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn books(headwater: &Headwater) -> Collection<Document> {
    headwater.client().database("library").collection("books")
}

/// The socket behind the URI of an embedded database.
fn socket(headwater: &Headwater) -> PathBuf {
    let host = headwater.uri().trim_start_matches("mongodb://").split('/').next().unwrap();
    PathBuf::from(host.replace("%2F", "/"))
}

#[tokio::test]
async fn data_outlives_the_database() {
    let folder = Folder::new();
    for round in 0..3 {
        let headwater = Headwater::open(&folder.0).await.unwrap();
        books(&headwater).insert_one(doc! { "round": round }).await.unwrap();
        let count = books(&headwater).count_documents(doc! {}).await.unwrap();
        assert_eq!(count, round as u64 + 1);
        if round == 1 { drop(headwater) } else { headwater.close().await }
    }
}

#[tokio::test]
async fn the_socket_is_private_and_goes_with_the_database() {
    let headwater = Headwater::open_in_memory().await.unwrap();
    let socket = socket(&headwater);
    let folder = socket.parent().unwrap().to_path_buf();
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    // Whoever has the URI reaches the same database.
    books(&headwater).insert_one(doc! {}).await.unwrap();
    let other = Headwater::connect(headwater.uri()).await.unwrap();
    assert_eq!(books(&other).count_documents(doc! {}).await.unwrap(), 1);
    other.close().await;
    let clone = headwater.clone();
    drop(headwater);
    assert_eq!(books(&clone).count_documents(doc! {}).await.unwrap(), 1);
    drop(clone);
    assert!(!socket.exists() && !folder.exists());
}

#[tokio::test]
async fn databases_in_memory_are_apart() {
    let (one, two) =
        (Headwater::open_in_memory().await.unwrap(), Headwater::open_in_memory().await.unwrap());
    books(&one).insert_one(doc! {}).await.unwrap();
    assert_eq!(books(&two).count_documents(doc! {}).await.unwrap(), 0);
    one.close().await;
    two.close().await;
}

#[tokio::test]
async fn a_folder_in_use_is_told() {
    let folder = Folder::new();
    let headwater = Headwater::open(&folder.0).await.unwrap();
    let error = Headwater::open(&folder.0).await.unwrap_err();
    assert!(error.is_folder_in_use(), "{error:?}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    headwater.close().await;
    Headwater::open(&folder.0).await.unwrap().close().await;
}

#[tokio::test]
async fn a_folder_that_is_none_is_told() {
    let file = Folder::new();
    std::fs::write(&file.0, b"no folder").unwrap();
    let error = Headwater::open(&file.0).await.unwrap_err();
    assert!(!error.is_folder_in_use(), "{error:?}");
    std::fs::remove_file(&file.0).unwrap();
    assert!(Headwater::open_shared(Path::new("/proc/none")).await.is_err());
}

#[tokio::test]
async fn a_shared_folder_is_taken_over_when_its_owner_leaves() {
    let folder = Folder::new();
    let owner = Headwater::open_shared(&folder.0).await.unwrap();
    let follower = Headwater::open_shared(&folder.0).await.unwrap();
    assert!(owner.is_owner() && !follower.is_owner());
    assert_eq!(owner.uri(), follower.uri());
    books(&owner).insert_one(doc! { "_id": 1 }).await.unwrap();
    assert_eq!(books(&follower).count_documents(doc! {}).await.unwrap(), 1);
    owner.close().await;
    // The driver finds the new owner behind the same socket.
    assert_eq!(books(&follower).count_documents(doc! {}).await.unwrap(), 1);
    assert!(follower.is_owner());
    let newcomer = Headwater::open_shared(&folder.0).await.unwrap();
    assert!(!newcomer.is_owner());
    // A follower that leaves disturbs nobody.
    newcomer.close().await;
    books(&follower).insert_one(doc! { "_id": 2 }).await.unwrap();
    follower.close().await;
}

#[tokio::test]
async fn the_caller_may_block_its_only_thread() {
    // The database has threads of its own: it works for other clients while this one is busy.
    let headwater = Headwater::open_in_memory().await.unwrap();
    let uri = headwater.uri().to_owned();
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let other = Headwater::connect(uri).await.unwrap();
            books(&other).insert_one(doc! {}).await.unwrap();
        });
    });
    other.join().unwrap();
    assert_eq!(books(&headwater).count_documents(doc! {}).await.unwrap(), 1);
}
