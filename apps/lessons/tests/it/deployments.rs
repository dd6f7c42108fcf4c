//! The same lines on every kind of deployment: a database that the program embeds, and a server over TCP.

use std::path::{Path, PathBuf};
use std::process::Command;

use headwater::Headwater;

use crate::binary::lessons;
use crate::inventory::{Inventory, watched_by};
use crate::process::{Output, Running};
use crate::serve::Serve;

/// Where the scenarios run, as the words that say so.
struct Place(Vec<String>);

impl Place {
    fn embedded(folder: &Path) -> Place {
        Place(vec!["--data".to_owned(), folder.to_str().unwrap().to_owned()])
    }

    fn at(uri: String) -> Place {
        Place(vec!["--uri".to_owned(), uri])
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = lessons(words);
        command.args(&self.0);
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        let output = Running::start(self.command(words)).end();
        assert_eq!(output.code, Some(0), "{words:?} {output:?}");
        output
    }
}

/// A line without what differs from run to run: ids and measured times.
fn plain(line: &str) -> String {
    let mut text = String::new();
    for part in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_id = headwater::is_valid_object_id(word);
        let is_measured = word.parse::<u64>().is_ok() && line.contains(" ms");
        text.push_str(if is_id || is_measured { "#" } else { word });
        text.push_str(&part[word.len()..]);
    }
    text
}

#[test]
fn a9_the_lines_are_the_same_embedded_and_on_a_server() {
    let folder = Folder::new();
    let serve = Serve::start(&[]);
    let places = [Place::embedded(&folder.0), Place::at(serve.uri())];
    for words in [
        &["shipments", "--seed", "7"][..],
        &["shipments", "--clients", "30", "--trucks", "20", "--busy", "4"],
        &["robust"],
    ] {
        let [one, other] = places.each_ref().map(|place| {
            place.run(words).lines().iter().map(|line| plain(line)).collect::<Vec<_>>()
        });
        assert!(!one.is_empty());
        assert_eq!(one, other, "{words:?}");
    }
    let [one, other] = places.each_ref().map(|place| place.run(&["pooling"]).lines().len());
    assert_eq!((one, other), (7, 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_the_warnings_are_the_same_embedded_and_on_a_server() {
    let folder = Folder::new();
    let serve = Serve::start(&[]);
    let embedded = Headwater::open_shared(&folder.0).await.unwrap();
    let server = Headwater::connect(serve.uri()).await.unwrap();
    let one = warnings(&Place::embedded(&folder.0), &embedded).await;
    let other = warnings(&Place::at(serve.uri()), &server).await;
    assert_eq!(one.len(), 7, "{one:?}");
    assert_eq!(one, other);
    embedded.close().await;
}

/// What low-stock tells of a shop whose chance is fixed.
async fn warnings(place: &Place, headwater: &Headwater) -> Vec<String> {
    let inventory = headwater.database("lessons").collection("inventory");
    Inventory(inventory).fill([100, 100, 100]).await;
    let low = Running::start(place.command(&["low-stock", "--every", "--events", "6"]));
    watched_by(headwater, 1).await;
    let shop = ["shop", "--reset", "--interval", "5ms", "--seed", "5"];
    let shop = Running::start(place.command(&shop));
    let output = low.end();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(shop.interrupt().code, Some(0));
    output.lines().iter().map(|line| (*line).to_owned()).collect()
}

/// A data folder that goes with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lessons-it-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
