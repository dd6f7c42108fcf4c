//! Nine stages that a deployment passes through the connector, one line per check. Configured by the environment as any
//! program on the connector is. Knows only the connector's public API.
//!
//! The result is 0 if nothing unexpected failed, 1 if something did, and 2 if the configuration is not usable.

mod bench;
mod cleanup;
mod report;
mod settings;
mod stages;

use std::time::Duration;

use command_line::output;
use headwater::{Config, Headwater};

use self::bench::Bench;
use self::report::Report;
use self::settings::Settings;

const FAILED: u8 = 1;
const NOT_CONFIGURED: u8 = 2;
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// Runs the program with the words after its name, and gives its exit code.
pub async fn run(words: &[String]) -> u8 {
    let settings = match Settings::read(words) {
        Ok(Some(settings)) => settings,
        Ok(None) => return command_line::conclude(output::write(&settings::help()), ""),
        Err(error) => return command_line::conclude(Err(error), &settings::usage()),
    };
    let config = match settings.config() {
        Ok(config) => config,
        Err(error) => return not_configured(&error.to_string()),
    };
    for warning in config.warnings() {
        output::note(&format!("warning: {warning}"));
    }
    // As the report: without a reader the stages run all the same.
    let _ = output::line(&format!("database {} at {}", config.database(), config.uri()));
    match connect(config).await {
        Ok(headwater) => {
            let code = pass(&headwater, &settings).await;
            headwater.shutdown(SHUTDOWN_MAX).await;
            code
        }
        Err(error) => not_configured(&error.to_string()),
    }
}

async fn connect(config: Config) -> headwater::Result<Headwater> {
    Headwater::from_config(config).await
}

fn not_configured(problem: &str) -> u8 {
    output::note(problem);
    NOT_CONFIGURED
}

/// All stages, the summary, and the way out.
async fn pass(headwater: &Headwater, settings: &Settings) -> u8 {
    let mut report = Report::default();
    let bench = match Bench::prepare(headwater).await {
        Ok(bench) => bench,
        Err(error) => {
            output::note(&format!("the database cannot be prepared: {error}"));
            return FAILED;
        }
    };
    stages::run(&bench, &mut report).await;
    if settings.cleanup {
        report.stage(0, "Cleanup", None);
        if let Err(error) = cleanup::run(&bench, &mut report).await {
            report.broke(&error);
        }
    }
    report.summary();
    if report.has_failures() { FAILED } else { 0 }
}
