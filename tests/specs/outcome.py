"""How one test of a driver ended. Knows nothing of where tests come from."""

import os
import signal
import traceback
import unittest

TEST_SECONDS = int(os.environ.get("SPEC_TEST_SECONDS", 20))


class Late(BaseException):
    """A test took too long. Not an Exception, so that no retry swallows it."""


def ring(_signal, _frame):
    raise Late(f"no end in {TEST_SECONDS} s")


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.outcome = None

    def _set(self, outcome, why=""):
        if self.outcome is None or outcome == "fail":
            self.outcome = (outcome, why)

    def addSuccess(self, test):
        self._set("pass")

    def addSkip(self, test, reason):
        self._set("skip", reason)

    def addExpectedFailure(self, test, error):
        self._set("skip", "the driver's own expected failure")

    def addFailure(self, test, error):
        self._set("fail", self.words(error))

    def addError(self, test, error):
        self._set("fail", self.words(error))

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self._set("fail", self.words(error))

    @staticmethod
    def words(error):
        text = "".join(traceback.format_exception_only(error[0], error[1]))
        return " ".join(text.split())[:600]


def run_once(test):
    result = Result()
    signal.alarm(TEST_SECONDS)
    try:
        test.run(result)
    except Late as late:
        result.addError(test, (Late, late, None))
    finally:
        signal.alarm(0)
    return result.outcome or ("fail", "no outcome")


def run_one(klass, method, listed):
    """A test that ends otherwise than the list says gets a second try: a loaded machine alone must fail nothing."""
    outcome = run_once(klass(method))
    if outcome[0] == ("pass" if listed else "fail"):
        outcome = run_once(klass(method))
    return outcome
