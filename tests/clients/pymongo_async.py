"""PyMongo 4, asynchronous; `main` serves Motor too, which differs in what must be awaited."""

import asyncio
import inspect
import sys

import pymongo
from gridfs import AsyncGridFSBucket
from pymongo.errors import DuplicateKeyError

from checks import BATCH, DOCUMENTS, blob, expect, expect_duplicate, run_async

PLAIN, REPLICA_SET = sys.argv[1:3]


async def settled(value):
    return await value if inspect.isawaitable(value) else value


async def main(name, client_class, bucket_class):
    client = client_class(PLAIN, serverSelectionTimeoutMS=5000)
    db = client[name]

    async def connect():
        expect((await client.admin.command("ping"))["ok"], 1.0, "ping")
        await client.drop_database(db.name)

    async def connect_replica_set():
        other = client_class(REPLICA_SET, serverSelectionTimeoutMS=5000)
        expect((await other.admin.command("hello"))["setName"], "rs0", "setName")
        await settled(other.close())

    async def crud():
        c = db["crud"]
        await c.insert_many([{"_id": n, "a": n} for n in range(5)])
        expect((await c.update_many({"a": {"$gt": 2}}, {"$inc": {"a": 1}})).modified_count, 2, "update_many")
        expect(await c.find_one({"_id": 4}), {"_id": 4, "a": 5}, "find_one")
        expect(await c.find_one_and_delete({"_id": 0}), {"_id": 0, "a": 0}, "find_one_and_delete")
        expect((await c.delete_one({"_id": 1})).deleted_count, 1, "delete_one")
        expect(await c.count_documents({}), 3, "count_documents")

    async def cursor():
        c = db["cursor"]
        await c.insert_many([{"_id": n} for n in range(DOCUMENTS)])
        found = [d["_id"] async for d in c.find(batch_size=BATCH).sort("_id", 1)]
        expect(found, list(range(DOCUMENTS)), "three batches")

    async def aggregate():
        c = db["aggregate"]
        await c.insert_many([{"k": n % 3, "v": n} for n in range(30)])
        found = await settled(c.aggregate([
            {"$group": {"_id": "$k", "sum": {"$sum": "$v"}}},
            {"$sort": {"_id": 1}},
        ]))
        found = await found.to_list(None)
        expect([d["sum"] for d in found], [135, 145, 155], "group")

    async def index():
        c = db["index"]
        expect(await c.create_index("n", unique=True), "n_1", "create_index")
        expect(sorted(await c.index_information()), ["_id_", "n_1"], "index_information")

    async def duplicate():
        c = db["duplicate"]
        await c.create_index("n", unique=True)
        await c.insert_one({"_id": 1, "n": 1})
        try:
            await c.insert_one({"_id": 2, "n": 1})
        except DuplicateKeyError as error:
            expect_duplicate(error)
        else:
            raise AssertionError("no error")

    async def watch():
        c = db["watch"]
        await c.insert_one({"_id": 0})
        async with await settled(c.watch()) as stream:
            await c.insert_many([{"_id": 1}, {"_id": 2}])
            expect((await anext(stream))["fullDocument"], {"_id": 1}, "first event")
            token = stream.resume_token
        async with await settled(c.watch(resume_after=token)) as stream:
            expect((await anext(stream))["fullDocument"], {"_id": 2}, "resumed event")

    async def grid():
        bucket = bucket_class(db)
        data = blob()
        file = await bucket.upload_from_stream("blob", data)
        stream = await bucket.open_download_stream(file)
        expect(await stream.read() == data, True, "content")
        await bucket.delete(file)
        expect(await db["fs.chunks"].count_documents({}), 0, "chunks after delete")

    await run_async({
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
    await settled(client.close())


if __name__ == "__main__":
    asyncio.run(main("pymongo_async", pymongo.AsyncMongoClient, AsyncGridFSBucket))
