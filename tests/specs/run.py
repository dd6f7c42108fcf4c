#!/usr/bin/env python3
"""The official driver specification tests, by PyMongo's own unified runner, each folder against a server of its own.

`run.py [SPEC...] [--verbose] [--rewrite]`. The tests come from `../shared/suites/unified` where that is at hand, else
from PyMongo's source package. What is known to fail is listed in `expected-failures.txt`: a `[reason]`, then names
`spec/file/description`, or prefixes that end in `*`. A listed test that passes, and an unlisted one that fails, fail the
run, but those whose reason starts with `driver: by luck: `. Reasons start with `later issue: ` or `driver: `.
"""

import concurrent.futures
import os
import pathlib
import sys
import tempfile

from expected import Expected
from judge import ENV, HERE, Judge, reason_for, table_head
from runner import run_suite
from server import ROOT

SHARED = pathlib.Path(os.environ.get("SPEC_TESTS", ROOT / "../shared/suites/unified"))
SOURCE = ENV / "pymongo-source"
SPEC_SECONDS = 1200

# Each specification: its folders in the specifications' layout, and in PyMongo's source package.
SPECS = {
    "causal-consistency": (["tests"], ["causal_consistency"]),
    "change-streams": (["tests/unified"], ["change_streams/unified"]),
    "client-backpressure": (["tests"], ["client-backpressure"]),
    "client-side-operations-timeout": (["tests"], ["csot"]),
    "collection-management": (["tests"], ["collection_management"]),
    "command-logging-and-monitoring": (["tests/logging", "tests/monitoring"], ["command_logging", "command_monitoring"]),
    "crud": (["tests/unified"], ["crud/unified"]),
    "gridfs": (["tests"], ["gridfs"]),
    "index-management": (["tests"], ["index_management"]),
    "mongodb-handshake": (["tests/unified"], ["handshake/unified"]),
    "read-write-concern": (["tests/operation"], ["read_write_concern/operation"]),
    "retryable-reads": (["tests/unified"], ["retryable_reads/unified"]),
    "retryable-writes": (["tests/unified"], ["retryable_writes/unified"]),
    "run-command": (["tests/unified"], ["run_command"]),
    "server-discovery-and-monitoring": (["tests/unified"], ["discovery_and_monitoring/unified"]),
    "server-selection": (["tests/logging"], ["server_selection_logging"]),
    "sessions": (["tests"], ["sessions"]),
    "transactions": (["tests/unified"], ["transactions/unified"]),
    "transactions-convenient-api": (["tests/unified"], ["transactions-convenient-api/unified"]),
    "unified-test-format": (["tests/valid-pass"], ["unified-test-format/valid-pass"]),
    "versioned-api": (["tests"], ["versioned-api"]),
}


def folders(spec):
    shared, source = SPECS[spec]
    found = [SHARED / spec / folder for folder in shared]
    if not any(folder.is_dir() for folder in found):
        found = [SOURCE / "test" / folder for folder in source]
    return [str(folder.resolve()) for folder in found if folder.is_dir()]


def run_spec(spec):
    """The outcome of each test of a specification."""
    with tempfile.TemporaryDirectory() as scratch:
        arguments = [HERE / "suite.py", ENV / "pymongo-runner", spec, *folders(spec)]
        return run_suite(spec, arguments, SPEC_SECONDS, {"SPEC_SCRATCH": scratch})


def rewritten(outcomes, expected):
    """The rows of the list for these outcomes; a file whose tests fail for one reason is one row."""
    files = {}
    for name, (outcome, why) in outcomes.items():
        label = reason_for(name, why, expected) if outcome == "fail" else None if outcome == "pass" else ...
        files.setdefault("/".join(name.split("/", 2)[:2]), {})[name] = label
    rows = {}
    for file, tests in files.items():
        labels = {label for label in tests.values() if label is not ...}
        if len(labels) == 1 and None not in labels:
            rows[f"{file}/*"] = labels.pop()
        else:
            rows.update({name: label for name, label in tests.items() if label is not ... and label is not None})
    return rows


def main():
    options = {word for word in sys.argv[1:] if word.startswith("--")}
    specs = [word for word in sys.argv[1:] if not word.startswith("--")] or list(SPECS)
    judge = Judge(Expected.read(), "--verbose" in options)
    source = SHARED if SHARED.is_dir() else SOURCE / "test"
    print(f"specification tests from {os.path.relpath(source, ROOT)}\n{table_head('specification')}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in pool.map(run_spec, specs):
            judge.add(*done)
    if "--rewrite" in options:
        judge.expected.rewrite(specs, rewritten(judge.everything, judge.expected))
        return 0
    return judge.end("specification tests")


if __name__ == "__main__":
    sys.exit(main())
