<?php
// Debian's PHP extension on libmongoc, used directly: it has commands, bulk writes and cursors; a change stream is a
// cursor here, and GridFS is not a part of it.
use MongoDB\Driver\{BulkWrite, Command, Manager, Query, WriteConcern};

[, $plain, $replicaSet] = $argv;
$manager = new Manager($plain, ['serverSelectionTimeoutMS' => 5000]);
const DB = 'php_driver';

function same($found, $wanted, string $what): void {
    if ($found != $wanted) {
        throw new Exception("$what: " . json_encode($found) . ', not ' . json_encode($wanted));
    }
}

function command(array $command, string $db = DB) {
    global $manager;
    return $manager->executeCommand($db, new Command($command));
}

function insert(string $collection, array $documents) {
    global $manager;
    $bulk = new BulkWrite();
    foreach ($documents as $document) {
        $bulk->insert($document);
    }
    return $manager->executeBulkWrite(DB . ".$collection", $bulk, new WriteConcern(WriteConcern::MAJORITY));
}

function next_event($cursor) {
    for ($tries = 0; $tries < 100; $tries++) {
        if ($cursor->valid()) {
            $event = $cursor->current();
            $cursor->next();
            return $event;
        }
        $cursor->next();
    }
    throw new Exception('no event');
}

function watch(array $stage) {
    $cursor = command([
        'aggregate' => 'watch',
        'pipeline' => [['$changeStream' => (object) $stage]],
        'cursor' => (object) [],
    ]);
    $cursor->setTypeMap(['root' => 'array', 'document' => 'array']);
    $cursor->rewind();
    return $cursor;
}

$checks = [
    'connect' => function () {
        same(command(['ping' => 1])->toArray()[0]->ok, 1, 'ping');
        command(['dropDatabase' => 1]);
    },
    'connect-replicaset' => function () use ($replicaSet) {
        $other = new Manager($replicaSet, ['serverSelectionTimeoutMS' => 5000]);
        $hello = $other->executeCommand('admin', new Command(['hello' => 1]))->toArray()[0];
        same($hello->setName, 'rs0', 'setName');
    },
    'crud' => function () use ($manager) {
        same(insert('crud', [['_id' => 1, 'a' => 1], ['_id' => 2, 'a' => 2], ['_id' => 3]])->getInsertedCount(), 3, 'insert');
        $bulk = new BulkWrite();
        $bulk->update(['a' => ['$gte' => 1]], ['$inc' => ['a' => 10]], ['multi' => true]);
        $bulk->update(['_id' => 9], ['$set' => ['a' => 9]], ['upsert' => true]);
        $bulk->delete(['_id' => 3]);
        $result = $manager->executeBulkWrite(DB . '.crud', $bulk);
        same([$result->getModifiedCount(), $result->getUpsertedCount(), $result->getDeletedCount()], [2, 1, 1], 'bulk');
        $found = $manager->executeQuery(DB . '.crud', new Query(['a' => ['$gt' => 9]], ['sort' => ['_id' => 1]]));
        same(array_map(fn ($d) => (array) $d, $found->toArray()), [['_id' => 1, 'a' => 11], ['_id' => 2, 'a' => 12]], 'query');
        $changed = command(['findAndModify' => 'crud', 'query' => ['_id' => 1], 'remove' => true])->toArray()[0];
        same($changed->value->a, 11, 'findAndModify');
    },
    'cursor' => function () use ($manager) {
        insert('cursor', array_map(fn ($n) => ['_id' => $n], range(0, 249)));
        $cursor = $manager->executeQuery(DB . '.cursor', new Query([], ['batchSize' => 100, 'sort' => ['_id' => 1]]));
        same(array_map(fn ($d) => $d->_id, $cursor->toArray()), range(0, 249), 'three batches');
    },
    'aggregate' => function () {
        insert('aggregate', array_map(fn ($n) => ['k' => $n % 3, 'v' => $n], range(0, 29)));
        $found = command([
            'aggregate' => 'aggregate',
            'pipeline' => [['$group' => ['_id' => '$k', 'sum' => ['$sum' => '$v']]], ['$sort' => ['_id' => 1]]],
            'cursor' => (object) [],
        ])->toArray();
        same(array_map(fn ($d) => $d->sum, $found), [135, 145, 155], 'group');
    },
    'index' => function () {
        command(['createIndexes' => 'index', 'indexes' => [['key' => ['n' => 1], 'name' => 'n_1', 'unique' => true]]]);
        $found = command(['listIndexes' => 'index'])->toArray();
        same(array_map(fn ($d) => $d->name, $found), ['_id_', 'n_1'], 'listIndexes');
    },
    'duplicate' => function () {
        command(['createIndexes' => 'duplicate', 'indexes' => [['key' => ['n' => 1], 'name' => 'n_1', 'unique' => true]]]);
        insert('duplicate', [['_id' => 1, 'n' => 1]]);
        try {
            insert('duplicate', [['_id' => 2, 'n' => 1]]);
        } catch (MongoDB\Driver\Exception\BulkWriteException $error) {
            $write = $error->getWriteResult()->getWriteErrors()[0];
            same($write->getCode(), 11000, 'code');
            same(str_starts_with($write->getMessage(), 'E11000 duplicate key error collection: php_driver.duplicate index: n_1'), true, $write->getMessage());
            return;
        }
        throw new Exception('no error');
    },
    'watch' => function () {
        insert('watch', [['_id' => 0]]);
        $cursor = watch([]);
        insert('watch', [['_id' => 1], ['_id' => 2]]);
        $first = next_event($cursor);
        same($first['fullDocument'], ['_id' => 1], 'first event');
        $second = next_event(watch(['resumeAfter' => $first['_id']]));
        same($second['fullDocument'], ['_id' => 2], 'resumed event');
    },
];

foreach ($checks as $name => $check) {
    try {
        $check();
        echo "ok $name\n";
    } catch (Throwable $error) {
        echo "not ok $name: ", get_class($error), ': ', preg_replace('/\s+/', ' ', $error->getMessage()), " (line {$error->getLine()})\n";
    }
}
echo "skip gridfs: the extension has none\n";
