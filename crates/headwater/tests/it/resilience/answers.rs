//! Errors that servers answer with, made by the server's own fail points.

#[cfg(feature = "embedded")]
use headwater::Headwater;
use headwater::bson::{Document, doc};
use headwater::mongodb::options::{Acknowledgment, WriteConcern};
use headwater::{ConnectionFailure, ErrorKind};

use super::{connect_to, fail_command, quick, stored, things};
use crate::proxy::Proxy;

#[tokio::test]
async fn r5_codes_that_pass_are_tried_again_where_that_is_safe() {
    let proxy = Proxy::start();
    // The driver asks a server that says it is no primary again, at the next beat of its monitor.
    let uri = proxy.uri_with("serverSelectionTimeoutMS=5000&heartbeatFrequencyMS=500");
    let things = connect_to(&uri, quick()).await.collection::<Document>("things");
    things.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
    for code in [6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436] {
        proxy.reset_counts();
        fail_command(&proxy, 2, doc! { "failCommands": ["find"], "errorCode": code }).await;
        things.find_one(doc! {}).await.unwrap_or_else(|error| panic!("{code}: {error:?}"));
        assert_eq!(proxy.requests("find"), 3, "{code}");
    }
    // Refused before anything was done: even this may be sent again.
    let update = || doc! { "$inc": { "n": 1 } };
    fail_command(&proxy, 1, doc! { "failCommands": ["update"], "errorCode": 10107 }).await;
    things.update_many(doc! {}, update()).await.unwrap();
    // Interrupted: nobody knows how far it came.
    fail_command(&proxy, 1, doc! { "failCommands": ["update"], "errorCode": 11602 }).await;
    let error = things.update_many(doc! {}, update()).await.unwrap_err();
    assert_eq!((error.code(), error.attempts()), (Some(11602), 1));
    assert!(error.is_outcome_unknown() && error.is_retryable());
    // Final ones are not tried again.
    proxy.reset_counts();
    fail_command(&proxy, 1, doc! { "failCommands": ["find"], "errorCode": 50 }).await;
    let error = things.find_one(doc! {}).await.unwrap_err();
    assert!(error.is_timeout() && !error.is_retryable());
    assert_eq!((error.kind(), proxy.requests("find")), (ErrorKind::Query, 1));
}

#[tokio::test]
async fn r3_an_unmet_write_concern_tells_what_was_applied() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    things.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
    let unmet = |command: &str, code: i32| {
        doc! {
            "failCommands": [command],
            "writeConcernError": {
                "code": code, "errmsg": "waiting", "errInfo": { "wtimeout": code == 64 },
            },
        }
    };
    for code in [64, 100] {
        fail_command(&proxy, 1, unmet("insert", code)).await;
        let insert = things.insert_one(doc! { "_id": code }).await.unwrap_err();
        fail_command(&proxy, 1, unmet("update", code)).await;
        let update = things.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } });
        for error in [insert, update.await.unwrap_err()] {
            assert_eq!((error.kind(), error.code()), (ErrorKind::WriteConcern, Some(code)));
            let concern = error.write_concern().unwrap();
            assert_eq!((concern.timed_out, concern.unsatisfiable), (code == 64, code == 100));
            assert_eq!((concern.applied, error.is_timeout()), (Some(1), code == 64), "{error:?}");
            assert!(!error.is_outcome_unknown());
        }
    }
    assert_eq!(stored(&proxy).await[0], doc! { "_id": 1, "n": 2 });
}

#[tokio::test]
async fn d30_a_write_concern_can_be_set_per_call_and_is_obeyed() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    let two = WriteConcern::builder().w(Acknowledgment::Nodes(2)).build();
    let error = things.insert_one(doc! { "_id": 1 }).write_concern(two.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::WriteConcern, Some(100)));
    let update = things.update_one(doc! {}, doc! { "$set": { "a": 1 } }).write_concern(two);
    assert_eq!(update.await.unwrap_err().kind(), ErrorKind::WriteConcern);
    let one = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
    things.insert_one(doc! { "_id": 2 }).write_concern(one).await.unwrap();
}

#[tokio::test]
async fn r3_a_validator_that_refuses_is_a_kind_of_its_own() {
    let proxy = Proxy::start();
    let things = things(&proxy).await;
    fail_command(&proxy, 1, doc! { "failCommands": ["insert"], "errorCode": 121 }).await;
    let error = things.insert_one(doc! { "_id": 1, "n": -1 }).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Validation, Some(121)));
}

#[tokio::test]
async fn d32_a_refused_login_is_a_connection_error_of_its_own_and_tells_no_secret() {
    let proxy = Proxy::start();
    let uri = proxy.uri_with("serverSelectionTimeoutMS=1000");
    let uri = uri.replace("mongodb://", "mongodb://ada:s3cret@");
    let headwater = connect_to(&uri, quick()).await;
    let things = headwater.collection::<Document>("things");
    for error in [
        things.find_one(doc! {}).await.unwrap_err(),
        things.insert_one(doc! {}).await.unwrap_err(),
        headwater.ping().await.unwrap_err(),
    ] {
        let failure = ErrorKind::Connection(ConnectionFailure::Authentication);
        assert_eq!((error.kind(), error.is_retryable()), (failure, false), "{error:?}");
        assert!(!error.is_outcome_unknown(), "{error:?}");
        let mut text = format!("{error} {error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(deeper) = source {
            text.push_str(&format!("{deeper} {deeper:?}"));
            source = deeper.source();
        }
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn r3_a_closed_connector_says_so() {
    let headwater = Headwater::open_in_memory().await.unwrap();
    let things = headwater.collection::<Document>("things");
    headwater.close().await;
    let error = things.find_one(doc! {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection(ConnectionFailure::Closed));
    assert!(!error.is_retryable());
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn a_deployment_without_transactions_says_so() {
    let headwater = Headwater::open_in_memory().await.unwrap();
    let things = headwater.collection::<Document>("things");
    let result = headwater
        .transaction(None, |session| {
            let things = things.driver().clone();
            Box::pin(async move {
                things.insert_one(doc! { "_id": 1 }).session(&mut *session).await?;
                Ok(())
            })
        })
        .await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction, "{error:?}");
    assert_eq!(things.count(doc! {}).await.unwrap(), 0);
}
