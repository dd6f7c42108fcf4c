#!/usr/bin/env python3
"""PyMongo's own tests, each module against a server of its own.

`driver.py [MODULE...] [--verbose] [--rewrite]`. The tests come from PyMongo's source package. What is known to fail is
listed in `driver-expected-failures.txt`: a `[reason]`, then names `module/class/test`, or prefixes that end in `*`. A
listed test that passes, and an unlisted one that fails, fail the run. Reasons start with `later issue: ` or `driver: `.
"""

import concurrent.futures
import json
import os
import subprocess
import sys
import time

from expected import DRIVER_LIST, Expected
from judge import ENV, HERE, Judge, reason_for, table_head
from server import headwater

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
    """The outcome of each test of a module: name -> (outcome, why)."""
    start, outcomes = time.monotonic(), {}
    with headwater("--test-commands") as (port, log):
        environment = {"SPEC_TEST_SECONDS": str(TEST_SECONDS), **os.environ, "DB_IP": "127.0.0.1", "DB_PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [ENV / "python/bin/python", "-W", "ignore", HERE / "driver_suite.py", ENV / "pymongo-runner", module]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment, timeout=MODULE_SECONDS,
                cwd=ENV / "pymongo-source",
            )
            said, ending = done.stdout, done.stderr[-2000:] if done.returncode else ""
        except subprocess.TimeoutExpired as late:
            said, ending = (late.stdout or b"").decode(), f"no end in {MODULE_SECONDS} s"
        for line in said.splitlines():
            if line.startswith('{"name"'):
                test = json.loads(line)
                outcomes[test["name"]] = (test["outcome"], test["why"])
        if ending or not outcomes:
            outcomes[f"{module}/the runner"] = ("fail", ending or "no tests")
        if "panicked" in log():
            outcomes[f"{module}/the server"] = ("fail", log()[-2000:])
    return module, outcomes, time.monotonic() - start


def rewritten(outcomes, expected):
    """The text of the list for these outcomes; the reasons of listed tests stay."""
    lines = {}
    for name, (outcome, why) in sorted(outcomes.items()):
        if outcome == "fail":
            lines.setdefault(reason_for(name, why, expected), []).append(name)
    head = "".join(f"# {line}\n" for line in [
        "Tests of PyMongo's own suite that fail for now. One section per reason; a name, or a prefix that ends in `*`.",
        "Every test listed here must fail. `tests/specs/driver.py --rewrite` writes the names again and keeps the reasons.",
    ])
    return head + "".join(f"\n[{reason}]\n" + "".join(f"{name}\n" for name in names) for reason, names in sorted(lines.items()))


def main():
    options = {word for word in sys.argv[1:] if word.startswith("--")}
    modules = [word for word in sys.argv[1:] if not word.startswith("--")] or MODULES
    judge = Judge(Expected.read(DRIVER_LIST), "--verbose" in options)
    print(table_head("module"), flush=True)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in pool.map(run_module, modules):
            judge.add(*done)
    if "--rewrite" in options:
        if len(modules) != len(MODULES):
            raise SystemExit("--rewrite needs the whole run")
        DRIVER_LIST.write_text(rewritten(judge.everything, judge.expected))
        print(f"wrote {DRIVER_LIST}")
        return 0
    return judge.end("driver tests")


if __name__ == "__main__":
    sys.exit(main())
