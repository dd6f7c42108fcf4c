//! Connecting by URI, as far as no server is needed.

use headwater::Headwater;

#[tokio::test]
async fn secrets_are_in_the_uri_but_never_in_debug() {
    let uri = "mongodb://user:s3cret@127.0.0.1:1/?authSource=admin";
    let headwater = Headwater::connect(uri).await.unwrap();
    assert_eq!(headwater.uri(), uri);
    let shown = format!("{headwater:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("user"), "{shown}");
    headwater.close().await;
}

#[tokio::test]
async fn a_uri_that_makes_no_sense_is_told_without_its_secrets() {
    for uri in ["nonsense", "mongodb://", "mongodb://user:s3c/ret@h/"] {
        let error = Headwater::connect(uri).await.unwrap_err();
        assert!(error.is_invalid_uri(), "{uri}: {error}");
        assert!(!format!("{error} {error:?}").contains("ret@h"), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_shows_in_the_first_operation() {
    let uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300";
    let headwater = Headwater::connect(uri).await.unwrap();
    let error = headwater.client().list_database_names().await.unwrap_err();
    assert!(headwater::Error::from(error).is_unreachable());
}
