//! What the driver last saw of each server, so that "no suitable server" can be told with reasons and in few words.

use std::collections::BTreeMap;
use std::sync::Arc;

use mongodb::event::sdam::SdamEvent;
use mongodb::options::ClientOptions;
use parking_lot::Mutex;

use crate::error::Error;
use crate::error::kind::{ConnectionFailure, ErrorKind};
use crate::events::heard_by;

/// Listens to the driver's monitors.
#[derive(Default)]
pub(crate) struct ServerWatch {
    servers: Mutex<BTreeMap<String, Seen>>,
}

/// The last word on a server.
struct Seen {
    text: String,
    /// How its connection failed.
    failure: Option<ConnectionFailure>,
}

impl ServerWatch {
    /// Listens to the client that will be made of the options.
    pub(crate) fn listen(options: &mut ClientOptions) -> Arc<ServerWatch> {
        let watch = Arc::new(ServerWatch::default());
        let ours = watch.clone();
        let theirs = options.sdam_event_handler.take();
        options.sdam_event_handler = Some(heard_by(move |event| ours.note(event), theirs));
        watch
    }

    fn note(&self, event: &SdamEvent) {
        match event {
            SdamEvent::ServerOpening(event) => {
                let seen = Seen { text: "not reached yet".to_owned(), failure: None };
                self.servers.lock().insert(event.address.to_string(), seen);
            }
            SdamEvent::ServerClosed(event) => {
                self.servers.lock().remove(&event.address.to_string());
            }
            SdamEvent::ServerDescriptionChanged(event) => {
                let server = &event.new_description;
                let seen = match server.error() {
                    Some(error) => Seen {
                        text: error.kind.to_string(),
                        failure: match Error::from(error.clone()).kind() {
                            ErrorKind::Connection(failure) => Some(failure),
                            _ => None,
                        },
                    },
                    None => {
                        let text = format!("of type {:?}", server.server_type());
                        Seen { text, failure: None }
                    }
                };
                self.servers.lock().insert(event.address.to_string(), seen);
            }
            _ => {}
        }
    }

    /// The servers with their last errors, after a sentence about all of them.
    pub(crate) fn tell(&self, sentence: &str) -> String {
        let servers = self.servers.lock();
        if servers.is_empty() {
            sentence.to_owned()
        } else {
            format!("{sentence}: {}", list(&servers))
        }
    }

    /// Tells an error of server selection with the servers and their last errors. If all of them refuse the login, or
    /// TLS can be agreed on with none, that is what it is: waiting longer would not help.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::ServerSelection {
            return error;
        }
        let servers = self.servers.lock();
        if servers.is_empty() {
            return error.with_message("no server is known".to_owned());
        }
        let all = |failure| servers.values().all(|seen| seen.failure == Some(failure));
        let error = error.with_message(format!("none in time of {}", list(&servers)));
        let lasting = [ConnectionFailure::Authentication, ConnectionFailure::Tls];
        match lasting.into_iter().find(|failure| all(*failure)) {
            Some(failure) => error.with_kind(ErrorKind::Connection(failure)),
            None => error,
        }
    }
}

fn list(servers: &BTreeMap<String, Seen>) -> String {
    let told = servers.iter().map(|(address, seen)| format!("{address} ({})", seen.text));
    told.collect::<Vec<String>>().join(", ")
}
