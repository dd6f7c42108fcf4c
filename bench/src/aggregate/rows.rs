//! The pipelines that are measured.

use headwater_engine::bson::ArrayWriter;

use super::data::TAGS;

/// A pipeline and what it is to reach.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// The collection, which also tells how many documents go in.
    pub(super) collection: &'static str,
    pub(super) pipeline: fn(&mut ArrayWriter),
    /// How many documents come out.
    pub(super) gives: fn(u64) -> u64,
    pub(super) reach: &'static str,
}

impl Row {
    /// How many documents or elements a run works on.
    pub(super) fn units(&self, documents: u64) -> u64 {
        match self.collection {
            "sales" => documents,
            "tagged" => documents / 10 * TAGS,
            _ => documents / 10,
        }
    }
}

const fn row(
    name: &'static str,
    collection: &'static str,
    pipeline: fn(&mut ArrayWriter),
    gives: fn(u64) -> u64,
    reach: &'static str,
) -> Row {
    Row { name, collection, pipeline, gives, reach }
}

/// Every pipeline.
pub(super) const ROWS: &[Row] = &[
    row("`$match` of one field, `$count`", "sales", count, |_| 1, "50 % of the walker"),
    row("`$group` by a text of 10, `$sum`, `$avg`", "sales", by_city, |_| 10, "3M"),
    row("`$group` by an integer of 100k", "sales", by_article, |n| n.min(100_000), "1.5M"),
    row("`$sort` by a number, `$limit` 10", "sales", top, |_| 10, "3M"),
    row("`$lookup` into 10k customers by `_id`", "orders", lookup, |n| n / 10, "500k"),
    row("`$unwind` of 10 elements, `$group`", "tagged", unwind, |_| 20, "5M elements"),
    row("`$project` of five computed fields", "sales", project, |n| n, "1M"),
    row("`$setWindowFields`, a moving average, 1000 partitions", "sales", window, |n| n, "700k"),
    row("the same of three fields", "sales", narrow_window, |n| n, "-"),
];

fn count(stages: &mut ArrayWriter) {
    stages.document(|stage| {
        stage.document("$match", |filter| {
            filter.document("quantity", |test| test.i32("$lt", 25));
        });
    });
    stages.document(|stage| stage.str("$count", "n"));
}

fn by_city(stages: &mut ArrayWriter) {
    group(stages, "$city");
}

fn by_article(stages: &mut ArrayWriter) {
    group(stages, "$article");
}

fn group(stages: &mut ArrayWriter, id: &str) {
    stages.document(|stage| {
        stage.document("$group", |group| {
            group.str("_id", id);
            group.document("sum", |sum| sum.str("$sum", "$quantity"));
            group.document("mean", |mean| mean.str("$avg", "$price"));
        });
    });
}

fn top(stages: &mut ArrayWriter) {
    stages.document(|stage| stage.document("$sort", |sort| sort.i32("number", 1)));
    stages.document(|stage| stage.i32("$limit", 10));
}

fn lookup(stages: &mut ArrayWriter) {
    stages.document(|stage| {
        stage.document("$lookup", |lookup| {
            lookup.str("from", "customers");
            lookup.str("localField", "customer");
            lookup.str("foreignField", "_id");
            lookup.str("as", "customers");
        });
    });
}

fn unwind(stages: &mut ArrayWriter) {
    stages.document(|stage| stage.str("$unwind", "$tags"));
    stages.document(|stage| {
        stage.document("$group", |group| {
            group.str("_id", "$tags");
            group.document("count", |sum| sum.str("$sum", "$count"));
        });
    });
}

fn project(stages: &mut ArrayWriter) {
    stages.document(|stage| {
        stage.document("$project", |fields| {
            fields.document("total", |total| {
                total.array("$multiply", |both| {
                    both.str("$price");
                    both.str("$quantity");
                });
            });
            fields.document("where", |place| {
                place.array("$concat", |parts| {
                    parts.str("$city");
                    parts.str(", Europe");
                });
            });
            fields.document("year", |year| year.str("$year", "$at"));
            fields.document("cheap", |cheap| {
                cheap.array("$lt", |both| {
                    both.str("$price");
                    both.i32(100);
                });
            });
            fields.document("size", |size| {
                size.array("$cond", |parts| {
                    parts.document(|large| {
                        large.array("$gte", |both| {
                            both.str("$quantity");
                            both.i32(25);
                        });
                    });
                    parts.str("large");
                    parts.str("small");
                });
            });
        });
    });
}

fn narrow_window(stages: &mut ArrayWriter) {
    stages.document(|stage| {
        stage.document("$project", |fields| {
            fields.i32("shop", 1);
            fields.i32("at", 1);
            fields.i32("price", 1);
        });
    });
    window(stages);
}

fn window(stages: &mut ArrayWriter) {
    stages.document(|stage| {
        stage.document("$setWindowFields", |window| {
            window.str("partitionBy", "$shop");
            window.document("sortBy", |sort| sort.i32("at", 1));
            window.document("output", |output| {
                output.document("moving", |moving| {
                    moving.str("$avg", "$price");
                    moving.document("window", |window| {
                        window.array("documents", |bounds| {
                            bounds.i32(-9);
                            bounds.i32(0);
                        });
                    });
                });
            });
        });
    });
}
