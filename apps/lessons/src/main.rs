//! The `lessons` binary: see the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    ExitCode::from(lessons::run(std::env::args().skip(1)).await)
}
