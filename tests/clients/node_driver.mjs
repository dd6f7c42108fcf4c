// The Node driver 7.
import assert from "node:assert/strict";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { GridFSBucket, MongoClient } from "mongodb";
import { BATCH, DOCUMENTS, blob, run } from "./checks.mjs";

const [plain, replicaSet] = process.argv.slice(2);
const client = new MongoClient(plain, { serverSelectionTimeoutMS: 5000 });
const db = client.db("node_driver");

await run({
  async connect() {
    assert.equal((await db.command({ ping: 1 })).ok, 1);
    await db.dropDatabase();
  },

  async "connect-replicaset"() {
    const other = new MongoClient(replicaSet, { serverSelectionTimeoutMS: 5000 });
    assert.equal((await other.db("admin").command({ hello: 1 })).setName, "rs0");
    await other.close();
  },

  async crud() {
    const c = db.collection("crud");
    assert.equal((await c.insertMany([1, 2, 3, 4].map((n) => ({ _id: n, a: n })))).insertedCount, 4);
    assert.equal((await c.updateMany({ a: { $gt: 2 } }, { $inc: { a: 10 } })).modifiedCount, 2);
    assert.deepEqual(await c.findOne({ _id: 4 }), { _id: 4, a: 14 });
    assert.deepEqual(await c.findOneAndUpdate({ _id: 1 }, { $set: { b: 1 } }, { returnDocument: "after" }), { _id: 1, a: 1, b: 1 });
    const bulk = await c.bulkWrite([{ insertOne: { document: { _id: 5 } } }, { deleteOne: { filter: { _id: 2 } } }]);
    assert.deepEqual([bulk.insertedCount, bulk.deletedCount], [1, 1]);
    assert.equal((await c.deleteMany({ a: { $gt: 10 } })).deletedCount, 2);
    assert.equal(await c.countDocuments(), 2);
    assert.deepEqual(await c.distinct("a"), [1]);
  },

  async cursor() {
    const c = db.collection("cursor");
    await c.insertMany(Array.from({ length: DOCUMENTS }, (_, n) => ({ _id: n })));
    const found = await c.find({}, { batchSize: BATCH, sort: { _id: 1 } }).map((d) => d._id).toArray();
    assert.deepEqual(found, Array.from({ length: DOCUMENTS }, (_, n) => n));
    let seen = 0;
    for await (const _ of c.find().batchSize(2)) {
      seen += 1;
      if (seen === 5) break;
    }
    assert.equal(seen, 5);
  },

  async aggregate() {
    const c = db.collection("aggregate");
    await c.insertMany(Array.from({ length: 30 }, (_, n) => ({ k: n % 3, v: n })));
    const found = await c.aggregate([{ $group: { _id: "$k", sum: { $sum: "$v" } } }, { $sort: { _id: 1 } }]).toArray();
    assert.deepEqual(found, [{ _id: 0, sum: 135 }, { _id: 1, sum: 145 }, { _id: 2, sum: 155 }]);
  },

  async index() {
    const c = db.collection("index");
    assert.equal(await c.createIndex({ a: 1, b: -1 }), "a_1_b_-1");
    assert.equal(await c.createIndex({ n: 1 }, { unique: true }), "n_1");
    await c.dropIndex("a_1_b_-1");
    assert.deepEqual((await c.indexes()).map((i) => [i.name, i.unique]), [["_id_", undefined], ["n_1", true]]);
    assert.ok((await db.listCollections().toArray()).some((one) => one.name === "index"));
  },

  async duplicate() {
    const c = db.collection("duplicate");
    await c.createIndex({ n: 1 }, { unique: true });
    await c.insertOne({ _id: 1, n: 1 });
    await assert.rejects(c.insertOne({ _id: 2, n: 1 }), (error) => {
      assert.equal(error.code, 11000);
      assert.deepEqual(error.keyPattern, { n: 1 });
      assert.deepEqual(error.keyValue, { n: 1 });
      return true;
    });
  },

  async watch() {
    const c = db.collection("watch");
    await c.insertOne({ _id: 0 });
    const stream = c.watch();
    const first = stream.next();
    first.catch(() => {}); // awaited below
    // the stream opens with its first next()
    await new Promise((resolve) => setTimeout(resolve, 300));
    await c.insertMany([{ _id: 1 }, { _id: 2 }]);
    assert.deepEqual((await first).fullDocument, { _id: 1 });
    const token = (await first)._id;
    await stream.close();
    const resumed = c.watch([{ $match: { operationType: "insert" } }], { resumeAfter: token });
    assert.deepEqual((await resumed.next()).fullDocument, { _id: 2 });
    await resumed.close();
  },

  async gridfs() {
    const bucket = new GridFSBucket(db);
    const data = blob();
    const upload = bucket.openUploadStream("blob");
    await pipeline(Readable.from([data]), upload);
    const parts = [];
    for await (const part of bucket.openDownloadStream(upload.id)) parts.push(part);
    assert.ok(Buffer.concat(parts).equals(data), "content");
    await bucket.delete(upload.id);
    assert.equal(await db.collection("fs.chunks").countDocuments(), 0);
  },
});
await client.close();
