"""One module of PyMongo's own tests, run against the server at DB_IP:DB_PORT.

`driver_suite.py RUNNER MODULE` (RUNNER is a folder that holds PyMongo's `test` package). Prints one JSON line per test:
its name, outcome and why. Run by driver.py, which starts the server and judges.
"""

import importlib
import json
import signal
import sys
import unittest

from expected import DRIVER_LIST, Expected
from outcome import ring, run_one

RUNNER, MODULE = sys.argv[1:]
sys.path.insert(0, RUNNER)
sys.argv = sys.argv[:1]

import test as driver  # noqa: E402


def classes(module):
    for name, found in sorted(vars(module).items()):
        if isinstance(found, type) and issubclass(found, unittest.TestCase) and found.__module__ == module.__name__:
            yield name, found


def say(name, outcome, why):
    print(json.dumps({"name": name, "outcome": outcome, "why": why}), flush=True)


def run_class(name, klass, expected):
    methods = unittest.TestLoader().getTestCaseNames(klass)
    names = {method: f"{MODULE}/{name}/{method.removeprefix('test_')}" for method in methods}
    if getattr(klass, "__unittest_skip__", False):
        for method in methods:
            say(names[method], "skip", klass.__unittest_skip_why__)
        return
    try:
        klass.setUpClass()
    except unittest.SkipTest as skip:
        for method in methods:
            say(names[method], "skip", str(skip))
        return
    except Exception as error:
        for method in methods:
            say(names[method], "fail", repr(error)[:600])
        return
    for method in methods:
        say(names[method], *run_one(klass, method, expected.reason(names[method])))
    klass.tearDownClass()
    klass.doClassCleanups()


def main():
    signal.signal(signal.SIGALRM, ring)
    expected = Expected.read(DRIVER_LIST)
    driver.setup()
    for name, klass in classes(importlib.import_module(f"test.{MODULE}")):
        run_class(name, klass, expected)


if __name__ == "__main__":
    main()
