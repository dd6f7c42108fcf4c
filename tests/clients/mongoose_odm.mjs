// Mongoose.
import assert from "node:assert/strict";
import mongoose from "mongoose";
import { BATCH, DOCUMENTS, blob, run } from "./checks.mjs";

const [plain, replicaSet] = process.argv.slice(2);
const options = { dbName: "mongoose", serverSelectionTimeoutMS: 5000, autoIndex: false };
const connection = mongoose.createConnection(plain, options);
const Person = connection.model("Person", new mongoose.Schema({
  name: { type: String, required: true },
  n: { type: Number, unique: true, sparse: true },
  tags: [String],
  k: Number,
}, { timestamps: true }));
const Pet = connection.model("Pet", new mongoose.Schema({
  owner: { type: mongoose.Schema.Types.ObjectId, ref: "Person" },
}));

await run({
  async connect() {
    await connection.asPromise();
    await connection.dropDatabase();
    await Person.createCollection();
  },

  async "connect-replicaset"() {
    const other = await mongoose.createConnection(replicaSet, options).asPromise();
    assert.equal((await other.db.admin().command({ hello: 1 })).setName, "rs0");
    await other.close();
  },

  async crud() {
    const ann = await Person.create({ name: "Ann", tags: ["a"] });
    ann.tags.push("b");
    await ann.save();
    assert.deepEqual([...(await Person.findById(ann._id)).tags], ["a", "b"]);
    await Pet.create({ owner: ann._id });
    assert.equal((await Pet.findOne().populate("owner")).owner.name, "Ann");
    assert.equal((await Person.findOneAndUpdate({ name: "Ann" }, { name: "Anna" }, { returnDocument: "after" })).name, "Anna");
    await assert.rejects(Person.create({}), /name.*required/);
    assert.equal((await Person.deleteOne({ _id: ann._id })).deletedCount, 1);
    assert.equal(await Person.countDocuments(), 0);
  },

  async cursor() {
    await Person.insertMany(Array.from({ length: DOCUMENTS }, (_, n) => ({ name: `p${n}`, k: n % 3 })));
    let seen = 0;
    for await (const _ of Person.find().cursor({ batchSize: BATCH })) seen += 1;
    assert.equal(seen, DOCUMENTS);
  },

  async aggregate() {
    const found = await Person.aggregate().group({ _id: "$k", n: { $sum: 1 } }).sort({ _id: 1 });
    assert.deepEqual(found, [{ _id: 0, n: 84 }, { _id: 1, n: 83 }, { _id: 2, n: 83 }]);
  },

  async index() {
    await Person.syncIndexes();
    assert.deepEqual(Object.keys(await Person.collection.indexInformation()).sort(), ["_id_", "n_1"]);
  },

  async duplicate() {
    await Person.create({ name: "x", n: 1 });
    await assert.rejects(Person.create({ name: "y", n: 1 }), (error) => {
      assert.equal(error.code, 11000);
      assert.deepEqual(error.keyValue, { n: 1 });
      return true;
    });
  },

  async watch() {
    const events = [];
    const stream = Person.watch();
    stream.on("change", (event) => events.push(event));
    await Promise.race([
      new Promise((resolve) => stream.once("ready", resolve)),
      new Promise((_, reject) => stream.once("error", reject)),
    ]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await Person.create([{ name: "seen" }, { name: "seen too" }], { ordered: true });
    for (let tries = 0; events.length < 2 && tries < 100; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(events.map((event) => event.fullDocument.name), ["seen", "seen too"]);
    await stream.close();
    const resumed = Person.collection.watch([], { resumeAfter: events[0]._id });
    assert.equal((await resumed.next()).fullDocument.name, "seen too");
    await resumed.close();
  },

  async gridfs() {
    const bucket = new mongoose.mongo.GridFSBucket(connection.db);
    const data = blob();
    const upload = bucket.openUploadStream("blob");
    await new Promise((resolve, reject) => upload.on("finish", resolve).on("error", reject).end(data));
    const parts = [];
    for await (const part of bucket.openDownloadStream(upload.id)) parts.push(part);
    assert.ok(Buffer.concat(parts).equals(data), "content");
    await bucket.delete(upload.id);
    assert.equal(await connection.db.collection("fs.chunks").countDocuments(), 0);
  },
});
await connection.close();
