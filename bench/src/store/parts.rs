//! The parts of the store's measurement.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use tempfile::TempDir;

use super::Row;
use super::engine::{ENGINES, Engine, Failure, Open, scatter};
use crate::processor::processor_us;

/// How much is measured.
pub(crate) struct Plan {
    documents: u64,
    rounds: usize,
    time: Duration,
    folder: PathBuf,
}

type Part = fn(&Plan, &mut dyn FnMut(Row)) -> Result<(), Failure>;

pub(crate) const PARTS: [(&str, Part); 5] =
    [("writes", writes), ("bulk", bulk), ("reads", reads), ("open", open), ("growth", growth)];

const BATCH: u64 = 1_000;
const GETS: u64 = 300_000;
const OVERLAID: u64 = 200_000;
const UPDATES: u64 = 400_000;

impl Plan {
    /// Also gives the names of the parts wanted.
    pub(crate) fn parse(words: &[String]) -> Result<(Plan, Vec<String>), Failure> {
        let (documents, rounds, time) = (1_000_000, 3, Duration::from_secs(3));
        let mut plan = Plan { documents, rounds, time, folder: std::env::temp_dir() };
        let mut wanted = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                wanted.push(word.clone());
                continue;
            };
            let value = words.next().ok_or("an option needs a value")?;
            match name {
                "documents" => plan.documents = value.parse()?,
                "rounds" => plan.rounds = value.parse()?,
                "seconds" => plan.time = Duration::from_secs(value.parse()?),
                "folder" => plan.folder = value.into(),
                _ => return Err(format!("no option is called {name}").into()),
            }
        }
        Ok((plan, wanted))
    }

    fn folder(&self) -> Result<TempDir, Failure> {
        Ok(tempfile::Builder::new().prefix("headwater-bench-").tempdir_in(&self.folder)?)
    }

    /// Runs `measure` for every engine in turn, `rounds` times; medians of each figure.
    fn interleaved<const N: usize>(
        &self,
        mut measure: impl FnMut(Open) -> Result<[f64; N], Failure>,
    ) -> Result<[Vec<f64>; N], Failure> {
        let mut all: Vec<Vec<[f64; N]>> = vec![Vec::new(); ENGINES.len()];
        for _ in 0..self.rounds {
            for (found, (_, open)) in all.iter_mut().zip(ENGINES) {
                found.push(measure(open)?);
            }
        }
        Ok(std::array::from_fn(|figure| {
            all.iter()
                .map(|found| median(found.iter().map(|figures| figures[figure]).collect()))
                .collect()
        }))
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn row(name: impl Into<String>, unit: &'static str, figures: &[f64], more: bool) -> Row {
    Row { name: name.into(), unit, figures: figures.to_vec(), more }
}

fn writes(plan: &Plan, print: &mut dyn FnMut(Row)) -> Result<(), Failure> {
    for writers in [1, 8, 64] {
        let [rate, p99, cpu] = plan.interleaved(|open| {
            let folder = plan.folder()?;
            let engine = open(folder.path())?;
            let documents = (0..plan.documents.min(100_000)).collect::<Vec<_>>();
            for batch in documents.chunks(BATCH as usize) {
                engine.load(&mut batch.iter().copied(), 0)?;
            }
            engine.settle()?;
            write_for(&*engine, writers, plan.time)
        })?;
        print(row(format!("durable writes, {writers} writers"), "1/s", &rate, true));
        print(row(format!("p99, {writers} writers"), "us", &p99, false));
        print(row(format!("processor time per write, {writers} writers"), "us", &cpu, false));
    }
    Ok(())
}

/// Rate, 99th percentile and processor time of single durable writes.
fn write_for(engine: &dyn Engine, writers: usize, time: Duration) -> Result<[f64; 3], Failure> {
    let next = AtomicU64::new(1 << 30);
    let failure = Mutex::new(None);
    let all = Mutex::new(Vec::new());
    let (start, before) = (Instant::now(), processor_us());
    thread::scope(|scope| {
        for _ in 0..writers {
            scope.spawn(|| {
                let mut latencies = Vec::with_capacity(1 << 18);
                while start.elapsed() < time {
                    let begun = Instant::now();
                    if let Err(error) = engine.write(next.fetch_add(1, Ordering::Relaxed), 1) {
                        if let Ok(mut failure) = failure.lock() {
                            *failure = Some(error);
                        }
                        return;
                    }
                    latencies.push(begun.elapsed().as_nanos() as f64 / 1e3);
                }
                if let Ok(mut all) = all.lock() {
                    all.append(&mut latencies);
                }
            });
        }
    });
    if let Some(error) = failure.into_inner()? {
        return Err(error);
    }
    let (elapsed, cpu) = (start.elapsed().as_secs_f64(), processor_us() - before);
    let mut latencies = all.into_inner()?;
    latencies.sort_by(f64::total_cmp);
    let count = latencies.len();
    let p99 = latencies.get(count * 99 / 100).copied().unwrap_or(f64::NAN);
    Ok([count as f64 / elapsed, p99, cpu / count as f64])
}

fn fill(engine: &dyn Engine, documents: u64) -> Result<(), Failure> {
    for from in (0..documents).step_by(BATCH as usize) {
        engine.load(&mut (from..documents.min(from + BATCH)), 0)?;
    }
    Ok(())
}

fn bulk(plan: &Plan, print: &mut dyn FnMut(Row)) -> Result<(), Failure> {
    let [rate, cpu] = plan.interleaved(|open| {
        let folder = plan.folder()?;
        let engine = open(folder.path())?;
        let (start, before) = (Instant::now(), processor_us());
        fill(&*engine, plan.documents)?;
        let rate = plan.documents as f64 / start.elapsed().as_secs_f64();
        engine.settle()?;
        Ok([rate, (processor_us() - before) / plan.documents as f64])
    })?;
    print(row("bulk load, batches of 1,000", "documents/s", &rate, true));
    print(row("processor time per document loaded", "us", &cpu, false));
    Ok(())
}

fn reads(plan: &Plan, print: &mut dyn FnMut(Row)) -> Result<(), Failure> {
    let mut opened = Vec::new();
    for (_, open) in ENGINES {
        let folder = plan.folder()?;
        let engine = open(folder.path())?;
        fill(&*engine, plan.documents)?;
        engine.settle()?;
        opened.push((engine, folder));
    }
    read_all(plan, &opened, "", print)?;
    opened.clear();
    // Only ours has an overlay; it is kept from being applied while reads are measured.
    super::headwater::HOLD.store(true, Ordering::Relaxed);
    for (_, open) in ENGINES {
        let folder = plan.folder()?;
        let engine = open(folder.path())?;
        fill(&*engine, plan.documents)?;
        engine.settle()?;
        for from in (0..OVERLAID / 2).step_by(BATCH as usize) {
            let mut numbers = (from..from + BATCH).map(|step| scatter(step) % plan.documents);
            engine.load(&mut numbers, 1)?;
        }
        opened.push((engine, folder));
    }
    super::headwater::HOLD.store(false, Ordering::Relaxed);
    read_all(plan, &opened, ", 200k entries in the overlay", print)
}

type Opened = [(Box<dyn Engine>, TempDir)];

fn read_all(
    plan: &Plan,
    opened: &Opened,
    what: &str,
    print: &mut dyn FnMut(Row),
) -> Result<(), Failure> {
    let mut figures: Vec<Vec<[f64; 3]>> = vec![Vec::new(); opened.len()];
    for _ in 0..plan.rounds {
        for (found, (engine, _)) in figures.iter_mut().zip(opened) {
            found.push(read_once(plan, &**engine)?);
        }
    }
    let of = |at: usize| -> Vec<f64> {
        figures.iter().map(|found| median(found.iter().map(|all| all[at]).collect())).collect()
    };
    print(row(format!("point get{what}"), "ns", &of(0), false));
    print(row(format!("full scan{what}"), "documents/s", &of(1), true));
    print(row(format!("index range and fetch{what}"), "ns/document", &of(2), false));
    Ok(())
}

fn read_once(plan: &Plan, engine: &dyn Engine) -> Result<[f64; 3], Failure> {
    let mut figures = [0.0; 3];
    engine.read(&mut |reader| {
        let start = Instant::now();
        for step in 0..GETS {
            let number = scatter(step ^ 0xabcd) % plan.documents;
            if reader.get(number)?.is_none() {
                return Err(format!("document {number} is missing").into());
            }
        }
        figures[0] = start.elapsed().as_nanos() as f64 / GETS as f64;
        let start = Instant::now();
        let (count, bytes) = reader.scan()?;
        figures[1] = count as f64 / start.elapsed().as_secs_f64();
        if count != plan.documents || bytes == 0 {
            return Err(format!("{count} documents found").into());
        }
        let start = Instant::now();
        let (ranges, length) = (1_000, 200);
        for step in 0..ranges {
            reader.index(scatter(step) % plan.documents, length)?;
        }
        figures[2] = start.elapsed().as_nanos() as f64 / (ranges * length as u64) as f64;
        Ok(())
    })?;
    Ok(figures)
}

fn open(plan: &Plan, print: &mut dyn FnMut(Row)) -> Result<(), Failure> {
    let [clean] = plan.interleaved(|open| {
        let folder = plan.folder()?;
        let engine = open(folder.path())?;
        fill(&*engine, plan.documents.min(200_000))?;
        drop(engine);
        Ok([open_ms(open, folder.path())?])
    })?;
    print(row("open after closing", "ms", &clean, false));
    let [killed] = plan.interleaved(|open| {
        let folder = plan.folder()?;
        let name = ENGINES.iter().find(|row| std::ptr::fn_addr_eq(row.1, open));
        let name = name.map_or("", |row| row.0);
        let mut child = process::Command::new(std::env::current_exe()?)
            .args(["store-load", name])
            .arg(folder.path())
            .spawn()?;
        thread::sleep(plan.time + Duration::from_secs(1));
        child.kill()?;
        child.wait()?;
        Ok([open_ms(open, folder.path())?])
    })?;
    print(row("open after kill -9 under load", "ms", &killed, false));
    Ok(())
}

fn open_ms(open: Open, folder: &Path) -> Result<f64, Failure> {
    let start = Instant::now();
    let engine = open(folder)?;
    let found = start.elapsed().as_secs_f64() * 1e3;
    drop(engine);
    Ok(found)
}

pub(crate) fn load_forever(name: &str, folder: &Path) -> Result<(), Failure> {
    let (_, open) = ENGINES.iter().find(|row| row.0 == name).ok_or("no such engine")?;
    let engine = open(folder)?;
    let start = scatter(u64::from(process::id())) >> 20;
    let next = AtomicU64::new(start);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| while engine.write(next.fetch_add(1, Ordering::Relaxed), 0).is_ok() {});
        }
    });
    Ok(())
}

fn growth(plan: &Plan, print: &mut dyn FnMut(Row)) -> Result<(), Failure> {
    let documents = plan.documents.min(200_000);
    let (mut data, mut log) = (Vec::new(), Vec::new());
    for (_, open) in ENGINES {
        let folder = plan.folder()?;
        let engine = open(folder.path())?;
        fill(&*engine, documents)?;
        engine.settle()?;
        let before = disk_bytes(folder.path())?;
        let mut after = [0; 2];
        engine.read(&mut |_| {
            for from in (0..UPDATES).step_by(100) {
                let mut numbers = (from..from + 100).map(|step| scatter(step) % documents);
                engine.load(&mut numbers, 2)?;
            }
            after = disk_bytes(folder.path())?;
            Ok(())
        })?;
        data.push(after[0].saturating_sub(before[0]) as f64 / 1e6);
        log.push(after[1].saturating_sub(before[1]) as f64 / 1e6);
    }
    let what = "snapshot held over 400k updates of 200k documents";
    print(row(format!("growth of the data, {what}"), "MB", &data, false));
    print(row("growth of our log meanwhile (history kept up to 1 GiB)", "MB", &log[..1], false));
    Ok(())
}

/// Bytes that the files of a folder take on disk: all others, and those of our log.
fn disk_bytes(folder: &Path) -> Result<[u64; 2], Failure> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = [0; 2];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let size = entry.metadata()?.blocks() * 512;
        let log = entry.path().extension().is_some_and(|extension| extension == "log");
        let inside = match entry.file_type()?.is_dir() {
            true => disk_bytes(&entry.path())?,
            false if log => [0, size],
            false => [size, 0],
        };
        bytes = [bytes[0] + inside[0], bytes[1] + inside[1]];
    }
    Ok(bytes)
}
