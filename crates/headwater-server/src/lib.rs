//! MongoDB wire protocol in front of the engine; the only crate that knows tokio, sockets and TLS.
