"""The checks that a blocking PyMongo of any age does in the same way; `pymongo_old` and `pymongo_sync` add what is their own."""

import gridfs
from pymongo.errors import DuplicateKeyError

from checks import BATCH, DOCUMENTS, blob, expect, expect_duplicate


def shared(db, count):
    """The checks on a database by name; `count` counts the documents of a collection."""

    def cursor():
        c = db["cursor"]
        c.insert_many([{"_id": n, "text": "x" * 100} for n in range(DOCUMENTS)])
        for direction in (1, -1):
            found = [d["_id"] for d in c.find(batch_size=BATCH).sort("_id", direction)]
            expect(found, list(range(DOCUMENTS))[::direction], "three batches")
        part = c.find(batch_size=2)
        next(part)
        part.close()
        expect(len(list(c.find().skip(10).limit(20))), 20, "skip and limit")

    def aggregate():
        c = db["aggregate"]
        c.insert_many([{"k": n % 3, "v": n} for n in range(30)])
        found = list(c.aggregate([
            {"$match": {"v": {"$lt": 20}}},
            {"$group": {"_id": "$k", "sum": {"$sum": "$v"}, "n": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ]))
        groups = [(d["_id"], d["sum"], d["n"]) for d in found]
        expect(groups, [(0, 63, 7), (1, 70, 7), (2, 57, 6)], "group")

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

    def grid():
        bucket = gridfs.GridFSBucket(db)
        data = blob()
        file = bucket.upload_from_stream("blob", data)
        stream = bucket.open_download_stream(file)
        expect(stream.read() == data, True, "content")
        stream.seek(12_345_678)
        expect(stream.read(10), data[12_345_678:12_345_688], "seek")
        bucket.delete(file)
        expect(count(db["fs.chunks"]), 0, "chunks after delete")

    return {"cursor": cursor, "aggregate": aggregate, "duplicate": duplicate, "gridfs": grid}
