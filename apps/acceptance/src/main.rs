//! The `acceptance` binary: see the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    ExitCode::from(acceptance::run(&words).await)
}
