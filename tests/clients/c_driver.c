/* libmongoc, the C driver that many others are built on. */
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <string.h>

#define DB "c_driver"
#define FAIL(...) return snprintf(why, sizeof why, __VA_ARGS__), false
#define TRY(call) do { if (!(call)) FAIL("%s (line %d)", error.message[0] ? error.message : #call, __LINE__); } while (0)

static char why[1024];
static bson_error_t error;
static mongoc_client_t *client;
static const char *replica_set;

static mongoc_collection_t *collection(const char *name) {
    return mongoc_client_get_collection(client, DB, name);
}

static bool insert_range(mongoc_collection_t *c, int from, int to) {
    mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(c, NULL);
    for (int n = from; n < to; n++) {
        bson_t *d = BCON_NEW("_id", BCON_INT32(n), "k", BCON_INT32(n % 3), "v", BCON_INT32(n));
        mongoc_bulk_operation_insert(bulk, d);
        bson_destroy(d);
    }
    bool ok = mongoc_bulk_operation_execute(bulk, NULL, &error) != 0;
    mongoc_bulk_operation_destroy(bulk);
    return ok;
}

static int32_t int_of(const bson_t *d, const char *path) {
    bson_iter_t it, found;
    return bson_iter_init(&it, d) && bson_iter_find_descendant(&it, path, &found) ? (int32_t) bson_iter_as_int64(&found) : -1;
}

static bool check_connect(void) {
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    TRY(mongoc_client_command_simple(client, "admin", ping, NULL, NULL, &error));
    bson_destroy(ping);
    mongoc_database_t *db = mongoc_client_get_database(client, DB);
    TRY(mongoc_database_drop(db, &error));
    mongoc_database_destroy(db);
    return true;
}

static bool check_connect_replicaset(void) {
    mongoc_client_t *other = mongoc_client_new(replica_set);
    bson_t *hello = BCON_NEW("hello", BCON_INT32(1)), reply;
    TRY(mongoc_client_command_simple(other, "admin", hello, NULL, &reply, &error));
    bson_iter_t it;
    TRY(bson_iter_init_find(&it, &reply, "setName") && !strcmp(bson_iter_utf8(&it, NULL), "rs0"));
    bson_destroy(hello);
    bson_destroy(&reply);
    mongoc_client_destroy(other);
    return true;
}

static bool check_crud(void) {
    mongoc_collection_t *c = collection("crud");
    TRY(insert_range(c, 0, 10));
    bson_t *q = BCON_NEW("v", "{", "$gte", BCON_INT32(5), "}"), *u = BCON_NEW("$inc", "{", "v", BCON_INT32(100), "}"), reply;
    TRY(mongoc_collection_update_many(c, q, u, NULL, &reply, &error));
    if (int_of(&reply, "modifiedCount") != 5) FAIL("modifiedCount %d", int_of(&reply, "modifiedCount"));
    bson_destroy(&reply);
    TRY(mongoc_collection_delete_many(c, q, NULL, &reply, &error));
    if (int_of(&reply, "deletedCount") != 5) FAIL("deletedCount %d", int_of(&reply, "deletedCount"));
    bson_destroy(&reply);
    bson_t all = BSON_INITIALIZER;
    if (mongoc_collection_count_documents(c, &all, NULL, NULL, NULL, &error) != 5) FAIL("count: %s", error.message);
    bson_destroy(q);
    bson_destroy(u);
    mongoc_collection_destroy(c);
    return true;
}

static bool check_cursor(void) {
    mongoc_collection_t *c = collection("cursor");
    TRY(insert_range(c, 0, 250));
    bson_t all = BSON_INITIALIZER, *opts = BCON_NEW("batchSize", BCON_INT32(100), "sort", "{", "_id", BCON_INT32(1), "}");
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(c, &all, opts, NULL);
    const bson_t *d;
    int n = 0;
    while (mongoc_cursor_next(cursor, &d)) {
        if (int_of(d, "_id") != n++) FAIL("document %d is %d", n - 1, int_of(d, "_id"));
    }
    TRY(!mongoc_cursor_error(cursor, &error));
    if (n != 250) FAIL("%d documents", n);
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    mongoc_collection_destroy(c);
    return true;
}

static bool check_aggregate(void) {
    mongoc_collection_t *c = collection("aggregate");
    TRY(insert_range(c, 0, 30));
    bson_t *pipeline = BCON_NEW("pipeline", "[",
        "{", "$group", "{", "_id", BCON_UTF8("$k"), "sum", "{", "$sum", BCON_UTF8("$v"), "}", "}", "}",
        "{", "$sort", "{", "_id", BCON_INT32(1), "}", "}", "]");
    mongoc_cursor_t *cursor = mongoc_collection_aggregate(c, MONGOC_QUERY_NONE, pipeline, NULL, NULL);
    const bson_t *d;
    int n = 0;
    while (mongoc_cursor_next(cursor, &d)) {
        if (int_of(d, "sum") != 135 + 10 * n++) FAIL("sum %d", int_of(d, "sum"));
    }
    TRY(!mongoc_cursor_error(cursor, &error) && n == 3);
    mongoc_cursor_destroy(cursor);
    bson_destroy(pipeline);
    mongoc_collection_destroy(c);
    return true;
}

static bool create_unique(const char *name) {
    mongoc_database_t *db = mongoc_client_get_database(client, DB);
    bson_t *create = BCON_NEW("createIndexes", BCON_UTF8(name), "indexes", "[",
        "{", "key", "{", "v", BCON_INT32(1), "}", "name", "v_1", "unique", BCON_BOOL(true), "}", "]");
    bool ok = mongoc_database_write_command_with_opts(db, create, NULL, NULL, &error);
    bson_destroy(create);
    mongoc_database_destroy(db);
    return ok;
}

static bool check_index(void) {
    TRY(create_unique("index"));
    mongoc_collection_t *c = collection("index");
    mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(c, NULL);
    const bson_t *d;
    int n = 0;
    while (mongoc_cursor_next(cursor, &d)) n++;
    TRY(!mongoc_cursor_error(cursor, &error) && n == 2);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(c);
    return true;
}

static bool check_duplicate(void) {
    TRY(create_unique("duplicate"));
    mongoc_collection_t *c = collection("duplicate");
    TRY(insert_range(c, 0, 1));
    bson_t *d = BCON_NEW("v", BCON_INT32(0));
    if (mongoc_collection_insert_one(c, d, NULL, NULL, &error)) FAIL("no error");
    if (error.code != 11000) FAIL("code %u: %s", error.code, error.message);
    if (!strstr(error.message, "E11000 duplicate key error collection: c_driver.duplicate index: v_1 dup key: { v: 0 }")) FAIL("%s", error.message);
    bson_destroy(d);
    mongoc_collection_destroy(c);
    return true;
}

static bool next_id(mongoc_change_stream_t *stream, int wanted, bson_t *token) {
    const bson_t *event;
    for (int tries = 0; tries < 100; tries++) {
        if (mongoc_change_stream_next(stream, &event)) {
            if (int_of(event, "fullDocument._id") != wanted) FAIL("event of %d, not %d", int_of(event, "fullDocument._id"), wanted);
            bson_copy_to(mongoc_change_stream_get_resume_token(stream), token);
            return true;
        }
        TRY(!mongoc_change_stream_error_document(stream, &error, NULL));
    }
    FAIL("no event");
}

static bool check_watch(void) {
    mongoc_collection_t *c = collection("watch");
    TRY(insert_range(c, 0, 1));
    bson_t none = BSON_INITIALIZER, token, last;
    mongoc_change_stream_t *stream = mongoc_collection_watch(c, &none, NULL);
    const bson_t *event;
    mongoc_change_stream_next(stream, &event);
    TRY(insert_range(c, 1, 3));
    if (!next_id(stream, 1, &token)) return false;
    mongoc_change_stream_destroy(stream);
    bson_t opts = BSON_INITIALIZER;
    BSON_APPEND_DOCUMENT(&opts, "resumeAfter", &token);
    stream = mongoc_collection_watch(c, &none, &opts);
    if (!next_id(stream, 2, &last)) return false;
    mongoc_change_stream_destroy(stream);
    mongoc_collection_destroy(c);
    return true;
}

static bool check_gridfs(void) {
    enum { PIECE = 64 * 1024, PIECES = 640 };
    static unsigned char piece[PIECE], read[PIECE];
    mongoc_database_t *db = mongoc_client_get_database(client, DB);
    mongoc_gridfs_bucket_t *bucket = mongoc_gridfs_bucket_new(db, NULL, NULL, &error);
    TRY(bucket);
    bson_value_t id;
    mongoc_stream_t *up = mongoc_gridfs_bucket_open_upload_stream(bucket, "blob", NULL, &id, &error);
    TRY(up);
    for (int n = 0; n < PIECES; n++) {
        memset(piece, n % 251, PIECE);
        TRY(mongoc_stream_write(up, piece, PIECE, 0) == PIECE);
    }
    TRY(mongoc_stream_close(up) == 0);
    mongoc_stream_destroy(up);
    mongoc_stream_t *down = mongoc_gridfs_bucket_open_download_stream(bucket, &id, &error);
    TRY(down);
    for (int n = 0; n < PIECES; n++) {
        memset(piece, n % 251, PIECE);
        TRY(mongoc_stream_read(down, read, PIECE, PIECE, 0) == PIECE);
        if (memcmp(piece, read, PIECE)) FAIL("content of piece %d", n);
    }
    mongoc_stream_destroy(down);
    TRY(mongoc_gridfs_bucket_delete_by_id(bucket, &id, &error));
    mongoc_collection_t *chunks = collection("fs.chunks");
    bson_t all = BSON_INITIALIZER;
    if (mongoc_collection_count_documents(chunks, &all, NULL, NULL, NULL, &error) != 0) FAIL("chunks are left");
    mongoc_collection_destroy(chunks);
    mongoc_gridfs_bucket_destroy(bucket);
    mongoc_database_destroy(db);
    return true;
}

int main(int argc, char **argv) {
    static const struct { const char *name; bool (*run)(void); } checks[] = {
        {"connect", check_connect}, {"connect-replicaset", check_connect_replicaset}, {"crud", check_crud},
        {"cursor", check_cursor}, {"aggregate", check_aggregate}, {"index", check_index},
        {"duplicate", check_duplicate}, {"watch", check_watch}, {"gridfs", check_gridfs},
    };
    if (argc < 3) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    mongoc_init();
    client = mongoc_client_new(argv[1]);
    replica_set = argv[2];
    for (size_t n = 0; n < sizeof checks / sizeof *checks; n++) {
        memset(&error, 0, sizeof error);
        if (checks[n].run()) printf("ok %s\n", checks[n].name);
        else printf("not ok %s: %s\n", checks[n].name, why);
    }
    mongoc_client_destroy(client);
    mongoc_cleanup();
    return 0;
}
