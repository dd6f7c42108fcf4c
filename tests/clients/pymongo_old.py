"""PyMongo 3.6.1: speaks the old wire (OP_QUERY commands, no OP_MSG)."""

import sys

import gridfs
import pymongo
from pymongo.errors import DuplicateKeyError

from checks import BATCH, DOCUMENTS, blob, expect, expect_duplicate, run

PLAIN, REPLICA_SET = sys.argv[1:3]
client = pymongo.MongoClient(PLAIN, serverSelectionTimeoutMS=5000)
db = client["pymongo_old"]


def connect():
    expect(pymongo.version, "3.6.1", "version")
    expect(client.admin.command("ping")["ok"], 1.0, "ping")
    client.drop_database(db.name)


def connect_replica_set():
    other = pymongo.MongoClient(REPLICA_SET, serverSelectionTimeoutMS=5000)
    expect(other.admin.command("ismaster")["setName"], "rs0", "setName")
    other.close()


def crud():
    c = db["crud"]
    c.insert_many([{"_id": n, "a": n} for n in range(6)])
    expect(c.update_one({"_id": 1}, {"$inc": {"a": 9}}).modified_count, 1, "update_one")
    expect(c.find_one({"_id": 1}), {"_id": 1, "a": 10}, "find_one")
    expect(c.find_one_and_replace({"_id": 2}, {"x": 1}), {"_id": 2, "a": 2}, "find_one_and_replace")
    expect(c.delete_many({"a": {"$gte": 4}}).deleted_count, 3, "delete_many")
    expect(c.count({}), 3, "count")
    expect(sorted(c.distinct("a")), [0, 3], "distinct")


def cursor():
    c = db["cursor"]
    c.insert_many([{"_id": n} for n in range(DOCUMENTS)])
    found = [d["_id"] for d in c.find(batch_size=BATCH).sort("_id", 1)]
    expect(found, list(range(DOCUMENTS)), "three batches")


def aggregate():
    c = db["aggregate"]
    c.insert_many([{"k": n % 3, "v": n} for n in range(30)])
    found = list(c.aggregate([{"$group": {"_id": "$k", "sum": {"$sum": "$v"}}}, {"$sort": {"_id": 1}}]))
    expect([d["sum"] for d in found], [135, 145, 155], "group")


def index():
    c = db["index"]
    expect(c.create_index("n", unique=True), "n_1", "create_index")
    expect(sorted(c.index_information()), ["_id_", "n_1"], "index_information")
    expect("index" in db.collection_names(), True, "collection_names")


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
    with c.watch() as stream:
        c.insert_many([{"_id": 1}, {"_id": 2}])
        first = next(stream)
        expect(first["fullDocument"], {"_id": 1}, "first event")
    with c.watch(resume_after=first["_id"]) as stream:
        expect(next(stream)["fullDocument"], {"_id": 2}, "resumed event")


def grid():
    bucket = gridfs.GridFSBucket(db)
    data = blob()
    file = bucket.upload_from_stream("blob", data)
    expect(bucket.open_download_stream(file).read() == data, True, "content")
    bucket.delete(file)
    expect(db["fs.chunks"].count({}), 0, "chunks after delete")


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
