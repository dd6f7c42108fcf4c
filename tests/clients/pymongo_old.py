"""PyMongo 3.6.1: speaks the old wire (OP_QUERY commands, no OP_MSG)."""

import sys

import pymongo

from checks import expect, run
from pymongo_blocking import shared

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


def index():
    c = db["index"]
    expect(c.create_index("n", unique=True), "n_1", "create_index")
    expect(sorted(c.index_information()), ["_id_", "n_1"], "index_information")
    expect("index" in db.collection_names(), True, "collection_names")


def watch():
    c = db["watch"]
    c.insert_one({"_id": 0})
    with c.watch() as stream:
        c.insert_many([{"_id": 1}, {"_id": 2}])
        first = next(stream)
        expect(first["fullDocument"], {"_id": 1}, "first event")
    with c.watch(resume_after=first["_id"]) as stream:
        expect(next(stream)["fullDocument"], {"_id": 2}, "resumed event")


run({
    "connect": connect,
    "connect-replicaset": connect_replica_set,
    "crud": crud,
    **shared(db, lambda c: c.count({})),
    "index": index,
    "watch": watch,
})
