"""Comparing the outcomes of a driver's tests with the list of those that are known to fail."""

import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))

from server import ROOT  # noqa: E402

ENV = pathlib.Path(os.environ.get("TEST_ENV", ROOT / ".test-env"))
UNSORTED = "later issue: not looked at yet"
# Listed tests that pass where a machine is slow enough to miss a limit of milliseconds: passing is no news.
BY_LUCK = "driver: by luck: "


def found_reason(why):
    """The reason that a failure itself names."""
    why = why.replace("\\'", "'")
    refused = re.search(r"(?:OperationFailure: |caused by :: |OperationFailure\(.|found in .)([^:'\"]*(?:'[^']*'[^:'\"]*)?) is not supported by headwater yet", why, re.I)
    if refused:
        return f"later issue: {refused[1].strip()}"
    keyword = re.search(r"TypeError: .* unexpected keyword argument '(\w+)'|unknown field.*raw_data|BSON field '\w+\.(raw_data)'|raw_data: true", why)
    if keyword:
        return f"driver: PyMongo has no {keyword[1] or keyword[2] or 'raw_data'}"
    if "object is not callable" in why:
        return "driver: PyMongo has no such method"
    return None


def reason_for(name, why, expected):
    """The reason under which a failing test is listed: its old one, or what its failure says."""
    listed = expected.reason(name)
    return found_reason(why) or UNSORTED if listed in (None, UNSORTED) else listed


class Judge:
    """Counts outcomes, one line for each group of tests; what is not as listed is a failure."""

    def __init__(self, expected, verbose):
        self.expected, self.verbose = expected, verbose
        self.totals, self.failures, self.everything = [0, 0, 0], [], {}

    def add(self, group, outcomes, seconds):
        self.everything.update(outcomes)
        count = {"pass": 0, "fail": 0, "listed": 0, "skip": 0}
        for name, (outcome, why) in sorted(outcomes.items()):
            reason = self.expected.reason(name)
            if outcome == "fail" and reason:
                count["listed"] += 1
                if self.verbose:
                    self.failures.append(f"LISTED {name}\n    {why}")
            elif outcome == "fail":
                count["fail"] += 1
                self.failures.append(f"FAIL {name}\n    {why}")
            elif outcome == "pass" and reason and reason.startswith(BY_LUCK):
                count["listed"] += 1
            elif outcome == "pass" and reason:
                count["fail"] += 1
                self.failures.append(f"LISTED BUT PASSES {name}")
            else:
                count[outcome] += 1
        self.totals = [self.totals[0] + count["pass"], self.totals[1] + count["fail"], self.totals[2] + count["listed"] + count["skip"]]
        print(f"{group:<36}{count['pass']:>7}{count['fail']:>7}{count['listed']:>7}{count['skip']:>8}{seconds:>8.1f} s", flush=True)

    def end(self, what):
        print("\n".join(self.failures))
        print(f"{what}: {self.totals[0]} passed, {self.totals[1]} failed, {self.totals[2]} skipped")
        return 1 if self.totals[1] else 0


def table_head(group):
    return f"{group:<36}{'passed':>7}{'failed':>7}{'listed':>7}{'skipped':>8}"
