//! kill -9 under load: a child process writes with several threads and prints what was
//! acknowledged; it is killed at a random moment, and the store opened here must have it all.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use headwater_store::{Direction, Options, Read, Store, Table};

use crate::random::Random;
use crate::variant::all;

const WRITERS: usize = 4;
const FOLDER: &str = "HEADWATER_KILL_FOLDER";
const DATA: Table = Table(0);
const INDEX: Table = Table(1);

fn options() -> Options {
    Options {
        memory_bytes_max: 256 << 10,
        segment_bytes: 128 << 10,
        retention_bytes: Some(512 << 10),
        tree_transaction_bytes: 16 << 10,
        ..Options::default()
    }
}

/// Not a test by itself: the process that is killed.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = Store::open(Path::new(&folder), options()).unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || write_forever(store, writer));
        }
    });
}

fn write_forever(store: &Store, writer: usize) {
    let key = format!("writer {writer}");
    let mut number = counter(store, DATA, &key);
    loop {
        number += 1;
        let seq = {
            let mut lock = store.writer().unwrap();
            let mut operation = lock.begin();
            let bytes = number.to_le_bytes();
            let row = format!("row {writer} {:04}", number % 500);
            operation.put(DATA, key.as_bytes(), &bytes).unwrap();
            operation.put(INDEX, key.as_bytes(), &bytes).unwrap();
            operation.put(DATA, row.as_bytes(), &bytes.repeat(40)).unwrap();
            operation.put(INDEX, row.as_bytes(), &bytes).unwrap();
            operation.commit(0, &bytes).unwrap()
        };
        store.wait_durable(seq, None).unwrap();
        // One write, so that lines of several threads don't mix.
        let line = format!("\nacknowledged {writer} {number}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

fn counter(store: &Store, table: Table, key: &str) -> u64 {
    let snapshot = store.snapshot().unwrap();
    let found = snapshot.get(table, key.as_bytes()).unwrap();
    found.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
}

fn start(folder: &Path) -> (Child, thread::JoinHandle<()>, Arc<Mutex<[u64; WRITERS]>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let acknowledged = Arc::new(Mutex::new([0; WRITERS]));
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let reader = thread::spawn({
        let acknowledged = Arc::clone(&acknowledged);
        move || {
            for line in lines.map_while(Result::ok) {
                let words: Vec<_> = line.split(' ').collect();
                if let ["acknowledged", writer, number] = words[..]
                    && let (Ok(writer), Ok(number)) = (writer.parse::<usize>(), number.parse())
                {
                    acknowledged.lock().unwrap()[writer] = number;
                }
            }
        }
    });
    (child, reader, acknowledged)
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let rounds = if crate::long() { 200 } else { 5 };
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(9);
    let mut total = 0;
    for round in 0..rounds {
        let (mut child, reader, acknowledged) = start(folder.path());
        while acknowledged.lock().unwrap().iter().sum::<u64>() <= total {
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(random.below(150)));
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap();
        total = check(folder.path(), *acknowledged.lock().unwrap(), round);
    }
    println!("{total} acknowledged writes over {rounds} rounds, none lost");
}

fn check(folder: &Path, acknowledged: [u64; WRITERS], round: u64) -> u64 {
    let store = Store::open(folder, options()).unwrap();
    let snapshot = store.snapshot().unwrap();
    let mut total = 0;
    for (writer, acknowledged) in acknowledged.into_iter().enumerate() {
        let found = counter(&store, DATA, &format!("writer {writer}"));
        assert!(found >= acknowledged, "round {round}: {found} of {acknowledged}");
        total += found;
    }
    let strip = |table| {
        let pairs = all(&snapshot, table, Direction::Forward);
        pairs.into_iter().map(|(key, value)| (key, value[..8].to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(strip(DATA), strip(INDEX), "round {round}: index = data");
    store.verify().unwrap();
    total
}
