//! The official Rust driver against a running server: `rust-client PLAIN_URI REPLICA_SET_URI` prints one line per check.

use std::error::Error;

use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{ErrorKind, WriteFailure};
use mongodb::options::{IndexOptions, ReturnDocument};
use mongodb::{Client, Collection, Database, IndexModel};

type Outcome = Result<(), Box<dyn Error>>;

const GRIDFS_BYTES: usize = 40 * 1024 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let mut uris = std::env::args().skip(1);
    let (Some(plain), Some(replica_set)) = (uris.next(), uris.next()) else {
        return Err("usage: rust-client PLAIN_URI REPLICA_SET_URI".into());
    };
    let db = Client::with_uri_str(&plain).await?.database("rust_driver");
    report("connect", connect(&db).await);
    report("connect-replicaset", connect_replica_set(&replica_set).await);
    report("crud", crud(&db.collection("crud")).await);
    report("cursor", cursor(&db.collection("cursor")).await);
    report("aggregate", aggregate(&db.collection("aggregate")).await);
    report("index", index(&db.collection("index")).await);
    report("duplicate", duplicate(&db.collection("duplicate")).await);
    report("watch", watch(&db.collection("watch")).await);
    report("gridfs", gridfs(&db).await);
    Ok(())
}

fn report(name: &str, outcome: Outcome) {
    match outcome {
        Ok(()) => println!("ok {name}"),
        Err(error) => println!("not ok {name}: {}", error.to_string().replace('\n', " ")),
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(found: T, wanted: T, what: &str) -> Outcome {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?}, not {wanted:?}").into()) }
}

async fn connect(db: &Database) -> Outcome {
    db.run_command(doc! { "ping": 1 }).await?;
    Ok(db.drop().await?)
}

async fn connect_replica_set(uri: &str) -> Outcome {
    let other = Client::with_uri_str(uri).await?;
    let hello = other.database("admin").run_command(doc! { "hello": 1 }).await?;
    expect(hello.get_str("setName")?, "rs0", "setName")
}

async fn crud(c: &Collection<Document>) -> Outcome {
    let many = c.insert_many((1..=4).map(|n| doc! { "_id": n, "a": n })).await?;
    expect(many.inserted_ids.len(), 4, "insert_many")?;
    let updated = c.update_many(doc! { "a": { "$gt": 2 } }, doc! { "$inc": { "a": 10 } }).await?;
    expect(updated.modified_count, 2, "update_many")?;
    expect(c.find_one(doc! { "_id": 4 }).await?, Some(doc! { "_id": 4, "a": 14 }), "find_one")?;
    let after = c.find_one_and_update(doc! { "_id": 1 }, doc! { "$set": { "b": true } });
    let after = after.return_document(ReturnDocument::After).await?;
    expect(after, Some(doc! { "_id": 1, "a": 1, "b": true }), "find_one_and_update")?;
    let upserted = c.replace_one(doc! { "_id": 9 }, doc! { "x": 1 }).upsert(true).await?;
    expect(upserted.upserted_id, Some(Bson::Int32(9)), "upsert")?;
    expect(c.delete_many(doc! { "a": { "$gt": 10 } }).await?.deleted_count, 2, "delete_many")?;
    expect(c.count_documents(doc! {}).await?, 3, "count_documents")?;
    expect(c.distinct("a", doc! {}).await?, vec![Bson::Int32(1), Bson::Int32(2)], "distinct")
}

async fn cursor(c: &Collection<Document>) -> Outcome {
    c.insert_many((0..250).map(|n| doc! { "_id": n })).await?;
    let mut cursor = c.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(100).await?;
    let mut found = Vec::new();
    while cursor.advance().await? {
        found.push(cursor.deserialize_current()?.get_i32("_id")?);
    }
    expect(found, (0..250).collect(), "three batches")
}

async fn aggregate(c: &Collection<Document>) -> Outcome {
    c.insert_many((0..30).map(|n| doc! { "k": n % 3, "v": n })).await?;
    let group = doc! { "$group": { "_id": "$k", "sum": { "$sum": "$v" } } };
    let mut cursor = c.aggregate([group, doc! { "$sort": { "_id": 1 } }]).await?;
    let mut sums = Vec::new();
    while cursor.advance().await? {
        sums.push(cursor.deserialize_current()?.get_i32("sum")?);
    }
    expect(sums, vec![135, 145, 155], "group")
}

fn unique() -> IndexModel {
    let options = IndexOptions::builder().unique(true).build();
    IndexModel::builder().keys(doc! { "n": 1 }).options(options).build()
}

async fn index(c: &Collection<Document>) -> Outcome {
    expect(c.create_index(unique()).await?.index_name.as_str(), "n_1", "create_index")?;
    expect(c.list_index_names().await?, vec!["_id_".to_owned(), "n_1".to_owned()], "names")
}

async fn duplicate(c: &Collection<Document>) -> Outcome {
    c.create_index(unique()).await?;
    c.insert_one(doc! { "_id": 1, "n": 1 }).await?;
    let Err(error) = c.insert_one(doc! { "_id": 2, "n": 1 }).await else {
        return Err("no error".into());
    };
    match *error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) => {
            expect(write.code, 11000, "code")?;
            let wanted = "E11000 duplicate key error collection: rust_driver.duplicate index: n_1 dup key: { n: 1 }";
            expect(write.message.as_str(), wanted, "message")
        }
        other => Err(format!("{other:?}").into()),
    }
}

async fn watch(c: &Collection<Document>) -> Outcome {
    c.insert_one(doc! { "_id": 0 }).await?;
    let mut stream = c.watch().await?;
    c.insert_many([doc! { "_id": 1 }, doc! { "_id": 2 }]).await?;
    let first = loop {
        if let Some(event) = stream.next_if_any().await? {
            break event;
        }
    };
    expect(first.full_document, Some(doc! { "_id": 1 }), "first event")?;
    let mut resumed = c.watch().resume_after(first.id).await?;
    let second = loop {
        if let Some(event) = resumed.next_if_any().await? {
            break event;
        }
    };
    expect(second.full_document, Some(doc! { "_id": 2 }), "resumed event")
}

async fn gridfs(db: &Database) -> Outcome {
    let bucket = db.gridfs_bucket(None);
    let data = (0..GRIDFS_BYTES / 4).flat_map(|n| (n as u32).to_le_bytes()).collect::<Vec<_>>();
    let mut upload = bucket.open_upload_stream("blob").await?;
    upload.write_all(&data).await?;
    upload.close().await?;
    let id = upload.id().clone();
    let mut read = Vec::with_capacity(data.len());
    bucket.open_download_stream(id.clone()).await?.read_to_end(&mut read).await?;
    expect(read == data, true, "content")?;
    bucket.delete(id).await?;
    let chunks = db.collection::<Document>("fs.chunks").count_documents(doc! {}).await?;
    expect(chunks, 0, "chunks after delete")
}
