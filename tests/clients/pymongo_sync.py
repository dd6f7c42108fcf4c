"""PyMongo 4, blocking."""

import sys

import pymongo

from checks import BATCH, DOCUMENTS, expect, run
from pymongo_blocking import shared

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


def index():
    c = db["index"]
    expect(c.create_index([("a", 1), ("b", -1)]), "a_1_b_-1", "create_index")
    c.create_indexes([pymongo.IndexModel("n", unique=True)])
    expect(sorted(c.index_information()), ["_id_", "a_1_b_-1", "n_1"], "index_information")
    c.drop_index("a_1_b_-1")
    expect([i["name"] for i in c.list_indexes()], ["_id_", "n_1"], "list_indexes")
    expect("index" in db.list_collection_names(), True, "list_collection_names")
    expect(db.name in client.list_database_names(), True, "list_database_names")


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


alike = shared(db, lambda c: c.count_documents({}))


def cursor():
    alike["cursor"]()
    with client.start_session() as session:
        found = list(db["cursor"].find(session=session, batch_size=BATCH))
        expect(len(found), DOCUMENTS, "in a session")


run({
    "connect": connect,
    "connect-replicaset": connect_replica_set,
    "crud": crud,
    **alike,
    "cursor": cursor,
    "index": index,
    "watch": watch,
})
