// mongosh 2; run by `mongosh URI --file`. GridFS is not a part of the shell.
const assert = require("node:assert/strict");
// values of the shell are of another realm, so they are compared as text
const same = (found, wanted) => assert.equal(JSON.stringify(found), JSON.stringify(wanted));
const shell = db.getSiblingDB("mongosh");

const checks = {
  connect() {
    assert.equal(shell.runCommand({ ping: 1 }).ok, 1);
    assert.ok(db.version().startsWith("8.0"), db.version());
    shell.dropDatabase();
  },

  "connect-replicaset"() {
    const other = new Mongo(process.env.HEADWATER_REPLICA_SET_URI);
    assert.equal(other.getDB("admin").hello().setName, "rs0");
    assert.equal(rs.status().members.length, 1);
  },

  crud() {
    const c = shell.crud;
    assert.equal(Object.keys(c.insertMany([1, 2, 3].map((n) => ({ _id: n, a: n }))).insertedIds).length, 3);
    assert.equal(c.updateMany({ a: { $gt: 1 } }, { $inc: { a: 10 } }).modifiedCount, 2);
    assert.equal(c.findOne({ _id: 3 }).a, 13);
    assert.equal(c.findOneAndDelete({ _id: 1 }).a, 1);
    assert.equal(c.replaceOne({ _id: 2 }, { x: 1 }).modifiedCount, 1);
    assert.equal(c.deleteOne({ _id: 3 }).deletedCount, 1);
    assert.equal(c.countDocuments(), 1);
    assert.ok(shell.getCollectionNames().includes("crud"));
    assert.ok(db.getMongo().getDBNames().includes("mongosh"));
  },

  stats() {
    assert.equal(shell.crud.stats().count, 1);
    assert.equal(shell.setProfilingLevel(2).was, 0);
    shell.crud.find({ x: 1 }).toArray();
    assert.equal(shell.setProfilingLevel(0).was, 2);
    assert.equal(shell.getProfilingStatus().was, 0);
    const kept = shell.system.profile.findOne({ op: "query", ns: "mongosh.crud" });
    assert.equal(kept.planSummary, "COLLSCAN");
  },

  cursor() {
    const c = shell.cursor;
    c.insertMany(Array.from({ length: 250 }, (_, n) => ({ _id: n })));
    const found = c.find().sort({ _id: 1 }).batchSize(100).toArray().map((d) => d._id);
    same(found, Array.from({ length: 250 }, (_, n) => n));
  },

  aggregate() {
    const c = shell.aggregate_;
    c.insertMany(Array.from({ length: 30 }, (_, n) => ({ k: n % 3, v: n })));
    const found = c.aggregate([{ $group: { _id: "$k", sum: { $sum: "$v" } } }, { $sort: { _id: 1 } }]).toArray();
    same(found.map((d) => d.sum), [135, 145, 155]);
    assert.ok(c.find({ k: 1 }).explain().queryPlanner);
  },

  index() {
    const c = shell.index;
    assert.equal(c.createIndex({ n: 1 }, { unique: true }), "n_1");
    same(c.getIndexes().map((i) => i.name), ["_id_", "n_1"]);
    c.insertMany([1, 2, 3].map((n) => ({ n })));
    const stats = c.find({ n: { $gt: 1 } }).explain("executionStats").executionStats;
    same([stats.nReturned, stats.totalKeysExamined, stats.executionStages.inputStage.indexName], [2, 2, "n_1"]);
    const plan = c.explain().findOneAndDelete({ n: { $gt: 9 } }).queryPlanner.winningPlan;
    same([plan.stage, c.countDocuments()], ["DELETE", 3]);
    assert.ok(c.aggregate([{ $indexStats: {} }]).toArray().some((i) => i.name === "n_1" && i.accesses.ops > 0));
  },

  duplicate() {
    const c = shell.duplicate;
    c.createIndex({ n: 1 }, { unique: true });
    c.insertOne({ _id: 1, n: 1 });
    let message = "no error";
    try {
      c.insertOne({ _id: 2, n: 1 });
    } catch (error) {
      message = error.message;
    }
    assert.equal(message, "E11000 duplicate key error collection: mongosh.duplicate index: n_1 dup key: { n: 1 }");
  },

  watch() {
    const c = shell.watch_;
    c.insertOne({ _id: 0 });
    const stream = c.watch();
    assert.equal(stream.tryNext(), null);
    c.insertMany([{ _id: 1 }, { _id: 2 }]);
    const first = stream.next();
    assert.equal(first.fullDocument._id, 1);
    stream.close();
    assert.equal(c.watch([], { resumeAfter: first._id }).next().fullDocument._id, 2);
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    check();
    print(`ok ${name}`);
  } catch (error) {
    print(`not ok ${name}: ${`${error.name}: ${error.message}`.replace(/\s+/g, " ")}`);
  }
}
print("skip gridfs: the shell has none");
