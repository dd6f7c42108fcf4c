#!/usr/bin/env python3
"""PyMongo's own tests, each module against a server of its own.

`driver.py [MODULE...] [--verbose] [--rewrite]`. The tests come from PyMongo's source package. What is known to fail is
listed in `driver-expected-failures.txt`: a `[reason]`, then names `module/class/test`, or prefixes that end in `*`. A
listed test that passes, and an unlisted one that fails, fail the run. Reasons start with `later issue: ` or `driver: `.
"""

import concurrent.futures
import sys

from expected import DRIVER_LIST, Expected
from judge import ENV, HERE, Judge, reason_for, table_head
from runner import run_suite

MODULE_SECONDS = 1800
# some write a hundred thousand documents and more, to a server that is built for debugging
TEST_SECONDS = 240

MODULES = [
    "test_binary",
    "test_bulk",
    "test_client_bulk_write",
    "test_collation",
    "test_collection",
    "test_comment",
    "test_common",
    "test_cursor",
    "test_custom_types",
    "test_database",
    "test_dbref",
    "test_decimal128",
    "test_grid_file",
    "test_gridfs",
    "test_gridfs_bucket",
    "test_raw_bson",
    "test_read_concern",
    "test_son",
]


def run_module(module):
    """The outcome of each test of a module."""
    arguments = [HERE / "driver_suite.py", ENV / "pymongo-runner", module]
    return run_suite(module, arguments, MODULE_SECONDS, {"SPEC_TEST_SECONDS": str(TEST_SECONDS)}, ENV / "pymongo-source")


def main():
    options = {word for word in sys.argv[1:] if word.startswith("--")}
    modules = [word for word in sys.argv[1:] if not word.startswith("--")] or MODULES
    judge = Judge(Expected.read(DRIVER_LIST), "--verbose" in options)
    print(table_head("module"), flush=True)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in pool.map(run_module, modules):
            judge.add(*done)
    if "--rewrite" in options:
        failed = {name: why for name, (outcome, why) in judge.everything.items() if outcome == "fail"}
        judge.expected.rewrite(modules, {name: reason_for(name, why, judge.expected) for name, why in failed.items()})
        return 0
    return judge.end("driver tests")


if __name__ == "__main__":
    sys.exit(main())
