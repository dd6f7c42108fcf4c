//! Listening to the driver's events without taking them away from a listener that is there already.

use mongodb::event::EventHandler;

/// A handler that tells us first and then theirs.
pub(crate) fn heard_by<T: Send + Sync + 'static>(
    ours: impl Fn(&T) + Send + Sync + 'static,
    theirs: Option<EventHandler<T>>,
) -> EventHandler<T> {
    EventHandler::callback(move |event: T| {
        ours(&event);
        match &theirs {
            Some(EventHandler::Callback(callback)) => callback(event),
            Some(EventHandler::AsyncCallback(callback)) => {
                tokio::spawn(callback(event));
            }
            Some(EventHandler::TokioMpsc(sender)) => {
                let sender = sender.clone();
                tokio::spawn(async move { sender.send(event).await });
            }
            _ => {}
        }
    })
}
