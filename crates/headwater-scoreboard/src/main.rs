//! `cargo run -p headwater-scoreboard [-- PREFIX] [--verbose] [--digest] [--files] [--messages] [--tcp] [--only in-process|wire]
//! [--rewrite-skips]`: runs the recorded cases and prints the scoreboard. Ends with 1 if a case that is not listed in the
//! skip file fails, or one that is listed passes.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use headwater_engine::bson::extjson::{Style, print_value};
use headwater_scoreboard::embedded::Embedded;
use headwater_scoreboard::pool::{self, Open};
use headwater_scoreboard::recording::{self, Case};
use headwater_scoreboard::skips::{self, Skips, UNSORTED};
use headwater_scoreboard::tally::{Fate, Lane, fate, messages, passes, table};
use headwater_scoreboard::wire::{Socket, Wire};

#[derive(Debug, Default)]
struct Options {
    prefix: String,
    verbose: bool,
    digest: bool,
    files: bool,
    messages: bool,
    tcp: bool,
    only: Option<String>,
    rewrite: bool,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("scoreboard: {error}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--digest" => options.digest = true,
            "--verbose" => options.verbose = true,
            "--files" => options.files = true,
            "--messages" => options.messages = true,
            "--tcp" => options.tcp = true,
            "--only" => options.only = words.next(),
            "--rewrite-skips" => options.rewrite = true,
            word if word.starts_with("--") => return Err(format!("unknown option {word}")),
            _ => options.prefix = word,
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<bool, String> {
    let cases = Arc::new(recording::cases(&options.prefix)?);
    if cases.is_empty() {
        return Err(format!("no case starts with {:?}", options.prefix));
    }
    let skips = Skips::read().map_err(|error| format!("{}: {error}", skips::path().display()))?;
    let embedded: Open = || Ok(Box::new(Embedded::open()?));
    let unix: Open = || Ok(Box::new(Wire::start(Socket::Unix)?));
    let tcp: Open = || Ok(Box::new(Wire::start(Socket::Tcp)?));
    let mut lanes = Vec::new();
    for (name, open) in [("in-process", embedded), ("wire", if options.tcp { tcp } else { unix })] {
        if options.only.as_deref().is_none_or(|only| only == name) {
            let start = Instant::now();
            let threads = std::thread::available_parallelism().map_or(2, usize::from);
            lanes.push(Lane { name, verdicts: pool::run(&cases, threads, open)? });
            println!("{name}: {} cases in {:.1} s", cases.len(), start.elapsed().as_secs_f64());
        }
    }
    if lanes.is_empty() {
        return Err("--only takes in-process or wire".to_owned());
    }
    print!("\n{}", table(&cases, &lanes, options.files));
    for lane in &lanes {
        let (all, right) = messages(&cases, lane);
        let share = 100.0 * right as f64 / all.max(1) as f64;
        println!("messages {}: {right} of {all} as recorded, {share:.1} %", lane.name);
    }
    let newer = cases.iter().enumerate().filter(|(_, case)| case.newer);
    let newer_passes = newer.clone().filter(|(at, _)| passes(*at, &lanes)).count();
    println!("newer than 8.0, not required: {newer_passes} of {} pass\n", newer.count());
    if options.digest {
        digest(&cases, &lanes);
    }
    let whole = options.prefix.is_empty() && options.only.is_none();
    if options.rewrite {
        if !whole {
            return Err("--rewrite-skips needs the whole run".to_owned());
        }
        rewrite(&cases, &lanes, &skips)?;
        return Ok(true);
    }
    Ok(report(&cases, &lanes, &skips, options, whole))
}

/// Prints what the failing cases have in common, the most frequent first.
fn digest(cases: &[Case], lanes: &[Lane]) {
    let mut causes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (at, case) in cases.iter().enumerate().filter(|(_, case)| !case.newer) {
        let failing =
            |lane: &Lane| lane.verdicts.get(at).filter(|v| v.difference.is_some()).cloned();
        let Some(verdict) = lanes.iter().find_map(failing) else { continue };
        let cause = match verdict.refused {
            Some(what) => format!("refused: {what}"),
            None => verdict.difference.unwrap_or_default().chars().take(90).collect(),
        };
        causes.entry(cause.replace('\n', " ")).or_default().push(&case.name);
    }
    let mut causes = causes.into_iter().collect::<Vec<_>>();
    causes.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    for (cause, names) in causes.iter().filter(|(_, names)| names.len() > 1) {
        println!("{:5} {cause}   e.g. {}", names.len(), names.first().unwrap_or(&""));
    }
    println!();
}

/// Prints every case that is not as the skip file says, and the closing line.
fn report(cases: &[Case], lanes: &[Lane], skips: &Skips, options: &Options, whole: bool) -> bool {
    let fates = cases.iter().enumerate().map(|(at, case)| fate(case, at, lanes, skips));
    let fates = fates.collect::<Vec<_>>();
    let count = |wanted: Fate| fates.iter().filter(|fate| **fate == wanted).count();
    for ((at, case), fate) in cases.iter().enumerate().zip(&fates) {
        let shown = match fate {
            Fate::Alarm => whole,
            Fate::Fail => true,
            Fate::Skip | Fate::Newer => options.verbose,
            Fate::Pass => false,
        };
        if shown {
            let word = match fate {
                Fate::Alarm => "LISTED BUT PASSES",
                Fate::Newer => "NEWER",
                Fate::Skip => "SKIP",
                _ => "FAIL",
            };
            println!("{word} {}", case.name);
        }
        for lane in lanes {
            let Some(verdict) = lane.verdicts.get(at) else { continue };
            if let Some(difference) = verdict.difference.as_ref().filter(|_| shown) {
                println!("  {}: {difference}", lane.name);
            }
            if options.messages {
                for (recorded, ours) in &verdict.wrong_messages {
                    println!(
                        "MESSAGE {} ({})\n  ours     {ours}\n  recorded {recorded}",
                        case.name, lane.name
                    );
                }
            }
        }
        if shown && options.verbose {
            for element in case.document() {
                if matches!(element.name, b"setup" | b"command" | b"then" | b"steps") {
                    println!(
                        "  {}: {}",
                        element.name_str(),
                        print_value(element.value, Style::Relaxed)
                    );
                }
            }
        }
    }
    let names = cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>();
    let idle = skips.idle(&names).collect::<Vec<_>>();
    if whole {
        idle.iter().for_each(|line| println!("LISTED BUT FITS NO CASE {line}"));
    }
    // a lane that did not run may be the one that fails
    let alarms = if whole { count(Fate::Alarm) + idle.len() } else { 0 };
    let failed = count(Fate::Fail) + alarms;
    let passed = count(Fate::Pass) + if whole { 0 } else { count(Fate::Alarm) };
    println!("scoreboard: {passed} passed, {failed} failed, {} skipped", count(Fate::Skip));
    failed == 0
}

fn rewrite(cases: &[Case], lanes: &[Lane], skips: &Skips) -> Result<(), String> {
    let mut required = BTreeMap::new();
    for (at, case) in cases.iter().enumerate().filter(|(_, case)| !case.newer) {
        let refused =
            lanes.iter().filter_map(|lane| lane.verdicts.get(at)?.refused.as_deref()).next();
        let found = refused.map(|what| format!("later issue: {what}"));
        let listed =
            skips.reason(&case.name).filter(|reason| found.is_none() || *reason != UNSORTED);
        let reason = listed.map(str::to_owned).or(found).unwrap_or_else(|| UNSORTED.to_owned());
        required.insert(case.name.as_str(), (!passes(at, lanes)).then_some(reason));
    }
    let failing = required.values().flatten().count();
    let named = required.iter().map(|(name, reason)| (*name, reason.as_deref())).collect();
    std::fs::write(skips::path(), skips::file(&named)).map_err(|error| error.to_string())?;
    println!("listed {failing} of {} cases in {}", required.len(), skips::path().display());
    Ok(())
}
