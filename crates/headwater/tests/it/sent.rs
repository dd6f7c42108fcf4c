//! What commands carry, heard from the driver's own events.

use std::sync::{Arc, Mutex};

use headwater::bson::{Document, doc};
use headwater::mongodb::event::EventHandler;
use headwater::mongodb::event::command::CommandEvent;
use headwater::mongodb::options::{
    Acknowledgment, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use headwater::{Config, ConfigBuilder, Headwater};

use crate::proxy::Proxy;

/// The commands of one connector, in their order.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<Document>>>);

impl Sent {
    async fn by(config: ConfigBuilder) -> (Headwater, Sent) {
        let sent = Sent::default();
        let ours = sent.clone();
        let mut options = config.build().unwrap().driver().await.unwrap();
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            if let CommandEvent::Started(event) = event {
                ours.0.lock().unwrap().push(event.command);
            }
        }));
        (Headwater::connect_with(options).unwrap(), sent)
    }

    /// The last command, which has to be this one.
    fn last(&self, name: &str) -> Document {
        let last = self.0.lock().unwrap().last().cloned().unwrap();
        assert_eq!(last.keys().next().unwrap(), name, "{last}");
        last
    }
}

#[tokio::test]
async fn d30_concerns_and_preferences_come_from_the_connector_or_the_call() {
    let proxy = Proxy::start();
    let config = Config::builder()
        .uri(proxy.uri())
        .read_concern(ReadConcern::majority())
        .read_preference(ReadPreference::PrimaryPreferred { options: None })
        .w(Acknowledgment::Majority)
        .journal(true);
    let (headwater, sent) = Sent::by(config).await;
    let things = headwater.collection::<Document>("things");
    let concern = |command: &Document, name: &str| command.get_document(name).unwrap().clone();

    things.insert_one(doc! { "_id": 1 }).await.unwrap();
    let insert = concern(&sent.last("insert"), "writeConcern");
    assert_eq!((insert.get_str("w").unwrap(), insert.get_bool("j").unwrap()), ("majority", true));
    things.find_one(doc! {}).await.unwrap();
    let find = sent.last("find");
    assert_eq!(concern(&find, "readConcern"), doc! { "level": "majority" });
    assert_eq!(concern(&find, "$readPreference"), doc! { "mode": "primaryPreferred" });

    let one = || WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
    things.insert_one(doc! { "_id": 2 }).write_concern(one()).await.unwrap();
    assert_eq!(concern(&sent.last("insert"), "writeConcern"), doc! { "w": 1 });
    let update = things.update_one(doc! {}, doc! { "$set": { "a": 1 } });
    update.write_concern(one()).await.unwrap();
    assert_eq!(concern(&sent.last("update"), "writeConcern"), doc! { "w": 1 });
    let nearest = SelectionCriteria::ReadPreference(ReadPreference::Nearest { options: None });
    let find = things.find_one(doc! {}).read_concern(ReadConcern::local());
    find.selection_criteria(nearest).await.unwrap();
    let find = sent.last("find");
    assert_eq!(concern(&find, "readConcern"), doc! { "level": "local" });
    assert_eq!(concern(&find, "$readPreference"), doc! { "mode": "nearest" });
}

#[tokio::test]
async fn d31_the_server_is_asked_for_the_one_name() {
    let proxy = Proxy::start();
    let (headwater, sent) = Sent::by(Config::builder().uri(proxy.uri())).await;
    let database = headwater.default_database();
    for name in ["things", "others"] {
        headwater.collection::<Document>(name).insert_one(doc! {}).await.unwrap();
    }
    assert!(database.collection_exists("things").await.unwrap());
    let filter = sent.last("listCollections").get_document("filter").unwrap().clone();
    assert_eq!(filter, doc! { "name": "things" });
}
