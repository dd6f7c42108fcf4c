"""The checks that the Python clients share: a runner that prints one line per check, and what the checks compare with.

Knows no driver. Each client prints `ok NAME`, `not ok NAME: why` or `skip NAME: why`.
"""

import hashlib
import traceback

GRIDFS_BYTES = 40 * 1024 * 1024
DOCUMENTS = 250
BATCH = 100


def blob():
    """40 MB that do not repeat from chunk to chunk."""
    parts = []
    for number in range(GRIDFS_BYTES // (64 * 1024)):
        parts.append(hashlib.sha256(str(number).encode()).digest() * 2048)
    return b"".join(parts)


def expect(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def expect_duplicate(error):
    """The details of a duplicate key error on the unique index `n_1`."""
    details = error.details
    expect(error.code, 11000, "code")
    expect(dict(details["keyPattern"]), {"n": 1}, "keyPattern")
    expect(dict(details["keyValue"]), {"n": 1}, "keyValue")
    if not details["errmsg"].startswith("E11000 duplicate key error collection: "):
        raise AssertionError(details["errmsg"])


def report(name, error):
    if error is None:
        print(f"ok {name}", flush=True)
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__}: {error} ({place.filename.rsplit('/', 1)[-1]}:{place.lineno})"
        print(f"not ok {name}: " + " ".join(why.split()), flush=True)


def run(checks):
    for name, check in checks.items():
        try:
            check()
            report(name, None)
        except Exception as error:
            report(name, error)


async def run_async(checks):
    for name, check in checks.items():
        try:
            await check()
            report(name, None)
        except Exception as error:
            report(name, error)
