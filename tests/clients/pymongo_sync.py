"""PyMongo 4, blocking."""

import sys

import gridfs
import pymongo
from pymongo.errors import DuplicateKeyError

from checks import BATCH, DOCUMENTS, blob, expect, expect_duplicate, run

PLAIN, REPLICA_SET = sys.argv[1:3]
client = pymongo.MongoClient(PLAIN, serverSelectionTimeoutMS=5000)
db = client["pymongo_sync"]


def connect():
    expect(client.admin.command("ping")["ok"], 1.0, "ping")
    client.drop_database(db.name)
    expect(client.server_info()["version"].startswith("8.0"), True, "version")


def connect_replica_set():
    with pymongo.MongoClient(REPLICA_SET, serverSelectionTimeoutMS=5000) as other:
        expect(other.admin.command("hello")["setName"], "rs0", "setName")
        other[db.name]["set"].insert_one({"_id": 1})
        expect(other.primary is not None, True, "primary known")


def crud():
    c = db["crud"]
    expect(c.insert_one({"_id": 1, "a": 1}).inserted_id, 1, "inserted_id")
    expect(len(c.insert_many([{"_id": n, "a": n} for n in range(2, 6)]).inserted_ids), 4, "many")
    expect(c.find_one({"_id": 3}), {"_id": 3, "a": 3}, "find_one")
    updated = c.update_one({"_id": 1}, {"$inc": {"a": 9}})
    expect((updated.matched_count, updated.modified_count), (1, 1), "update_one")
    expect(c.update_many({"a": {"$gte": 4}}, {"$set": {"b": True}}).modified_count, 3, "update_many")
    upserted = c.update_one({"_id": 9}, {"$set": {"a": 9}}, upsert=True)
    expect(upserted.upserted_id, 9, "upsert")
    expect(c.replace_one({"_id": 9}, {"x": 1}).modified_count, 1, "replace_one")
    after = c.find_one_and_update({"_id": 2}, {"$set": {"a": 20}}, return_document=pymongo.ReturnDocument.AFTER)
    expect(after, {"_id": 2, "a": 20}, "find_one_and_update")
    bulk = c.bulk_write([
        pymongo.InsertOne({"_id": 10}),
        pymongo.UpdateOne({"_id": 10}, {"$set": {"a": 1}}),
        pymongo.DeleteOne({"_id": 5}),
    ])
    expect((bulk.inserted_count, bulk.modified_count, bulk.deleted_count), (1, 1, 1), "bulk_write")
    expect(c.delete_many({"a": {"$gte": 10}}).deleted_count, 2, "delete_many")
    expect(c.count_documents({}), 4, "count_documents")
    expect(sorted(c.distinct("a")), [1, 3, 4], "distinct")
    expect(c.estimated_document_count(), 4, "estimated_document_count")


def cursor():
    c = db["cursor"]
    c.insert_many([{"_id": n, "text": "x" * 100} for n in range(DOCUMENTS)])
    found = [d["_id"] for d in c.find(batch_size=BATCH).sort("_id", -1)]
    expect(found, list(range(DOCUMENTS))[::-1], "three batches")
    part = c.find(batch_size=2)
    next(part)
    part.close()
    expect(len(list(c.find().skip(10).limit(20))), 20, "skip and limit")
    with client.start_session() as session:
        expect(len(list(c.find(session=session, batch_size=BATCH))), DOCUMENTS, "in a session")


def aggregate():
    c = db["aggregate"]
    c.insert_many([{"k": n % 3, "v": n} for n in range(30)])
    found = list(c.aggregate([
        {"$match": {"v": {"$lt": 20}}},
        {"$group": {"_id": "$k", "sum": {"$sum": "$v"}, "n": {"$sum": 1}}},
        {"$sort": {"_id": 1}},
    ]))
    expect(found, [{"_id": 0, "sum": 63, "n": 7}, {"_id": 1, "sum": 70, "n": 7}, {"_id": 2, "sum": 57, "n": 6}], "group")


def index():
    c = db["index"]
    expect(c.create_index([("a", 1), ("b", -1)]), "a_1_b_-1", "create_index")
    c.create_indexes([pymongo.IndexModel("n", unique=True)])
    expect(sorted(c.index_information()), ["_id_", "a_1_b_-1", "n_1"], "index_information")
    c.drop_index("a_1_b_-1")
    expect([i["name"] for i in c.list_indexes()], ["_id_", "n_1"], "list_indexes")
    expect("index" in db.list_collection_names(), True, "list_collection_names")
    expect(db.name in client.list_database_names(), True, "list_database_names")


def duplicate():
    c = db["duplicate"]
    c.create_index("n", unique=True)
    c.insert_one({"_id": 1, "n": 1})
    try:
        c.insert_one({"_id": 2, "n": 1})
    except DuplicateKeyError as error:
        expect_duplicate(error)
    else:
        raise AssertionError("no error")


def watch():
    c = db["watch"]
    c.insert_one({"_id": 0})
    with c.watch(max_await_time_ms=500) as stream:
        c.insert_one({"_id": 1})
        c.update_one({"_id": 1}, {"$set": {"a": 1}})
        c.delete_one({"_id": 1})
        first = next(stream)
        expect((first["operationType"], first["fullDocument"]), ("insert", {"_id": 1}), "first event")
        token = stream.resume_token
    with c.watch(resume_after=token, full_document="updateLookup") as stream:
        second, third = next(stream), next(stream)
        expect(second["updateDescription"]["updatedFields"], {"a": 1}, "resumed event")
        expect(third["operationType"], "delete", "third event")
        expect(third["documentKey"], {"_id": 1}, "documentKey")


def grid():
    bucket = gridfs.GridFSBucket(db)
    data = blob()
    file = bucket.upload_from_stream("blob", data)
    with bucket.open_download_stream(file) as stream:
        expect(stream.read() == data, True, "content")
        stream.seek(12_345_678)
        expect(stream.read(10), data[12_345_678:12_345_688], "seek")
    bucket.delete(file)
    expect(db["fs.chunks"].count_documents({}), 0, "chunks after delete")


run({
    "connect": connect,
    "connect-replicaset": connect_replica_set,
    "crud": crud,
    "cursor": cursor,
    "aggregate": aggregate,
    "index": index,
    "duplicate": duplicate,
    "watch": watch,
    "gridfs": grid,
})
