"""One folder of specification tests, run by PyMongo's own unified runner against the server at DB_IP:DB_PORT.

`suite.py RUNNER SPEC FOLDER...` (RUNNER is a folder that holds PyMongo's `test` package). Prints one JSON line per
test: its name, outcome and why. Run by run.py, which starts the server and judges.
"""

import json
import os
import signal
import sys
import unittest

from expected import Expected
from outcome import ring, run_one

RUNNER, SPEC, *FOLDERS = sys.argv[1:]
sys.path.insert(0, RUNNER)
sys.argv = sys.argv[:1]

from test.unified_format import generate_test_classes  # noqa: E402


def tests_of(classes):
    for name, klass in sorted(classes.items()):
        names = unittest.TestLoader().getTestCaseNames(klass)
        described = {}
        for test in klass.TEST_SPEC["tests"]:
            described.setdefault(test["description"].strip().replace(" ", "_").replace(".", "_"), test["description"])
        for method in names:
            key = method.removeprefix("test_")
            yield klass, method, described.get(key, key)


def main():
    signal.signal(signal.SIGALRM, ring)
    expected = Expected.read()
    for folder in FOLDERS:
        for file in sorted(os.listdir(folder)):
            path = os.path.join(folder, file)
            if not file.endswith(".json"):
                continue
            # the generator takes folders: give it one file at a time, so that a test is known by its file
            alone = os.path.join(os.environ["SPEC_SCRATCH"], SPEC, file.removesuffix(".json"))
            os.makedirs(alone, exist_ok=True)
            link = os.path.join(alone, file)
            if not os.path.exists(link):
                os.symlink(path, link)
            try:
                classes = generate_test_classes(alone, module=__name__)
            except ValueError:
                continue
            for klass, method, description in tests_of(classes):
                if not issubclass(klass, unittest.TestCase):
                    continue
                name = f"{SPEC}/{file.removesuffix('.json')}/{description}"
                skipped = getattr(klass, "__unittest_skip__", False)
                if skipped:
                    outcome, why = "skip", klass.__unittest_skip_why__
                else:
                    try:
                        klass.setUpClass()
                        outcome, why = run_one(klass, method, expected.reason(name))
                    except Exception as error:
                        outcome, why = "fail", repr(error)[:600]
                    finally:
                        try:
                            klass.tearDownClass()
                        except Exception:
                            pass
                print(json.dumps({"name": name, "outcome": outcome, "why": why}), flush=True)


if __name__ == "__main__":
    main()
