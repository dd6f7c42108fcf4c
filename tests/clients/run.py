#!/usr/bin/env python3
"""Runs every client of this folder against a server of its own and prints what each of them can do.

`run.py [CLIENT...]`; the clients and what they need are in `.test-env` (`./test` installs them). A check that is known
to fail is listed in `known-failures.txt` as `client check: reason`; one that is listed and passes fails the run.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

from server import ROOT, built, headwater

HERE = pathlib.Path(__file__).resolve().parent
ENV = pathlib.Path(os.environ.get("TEST_ENV", ROOT / ".test-env"))
CHECKS = ["connect", "connect-replicaset", "crud", "cursor", "aggregate", "index", "duplicate", "watch", "gridfs"]
CLIENT_SECONDS = 180

CLIENTS = {
    "pymongo-sync": [ENV / "python/bin/python", HERE / "pymongo_sync.py"],
    "pymongo-async": [ENV / "python/bin/python", HERE / "pymongo_async.py"],
    "motor": [ENV / "python/bin/python", HERE / "motor_async.py"],
    "pymongo-3.6": [ENV / "python-old/bin/python", "-W", "ignore", HERE / "pymongo_old.py"],
    "node": ["node", ENV / "node/node_driver.mjs"],
    "mongoose": ["node", ENV / "node/mongoose_odm.mjs"],
    "mongosh": [ENV / "node/node_modules/.bin/mongosh", "{plain}", "--quiet", "--norc", "--file", HERE / "mongosh_shell.js"],
    "rust": [built("rust-client")],
    "php": ["php", HERE / "php_driver.php"],
    "c": [ENV / "c_driver"],
}


def prepare():
    """Puts the Node clients where their packages are and compiles the C client."""
    (ENV / "node").mkdir(parents=True, exist_ok=True)
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, ENV / "node")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libmongoc-1.0"], capture_output=True, text=True)
    if flags.returncode == 0:
        subprocess.run(["cc", "-o", ENV / "c_driver", HERE / "c_driver.c", *flags.stdout.split()], check=False)


def known_failures():
    known = {}
    path = HERE / "known-failures.txt"
    for line in path.read_text().splitlines() if path.is_file() else []:
        if line.strip() and not line.startswith("#"):
            name, reason = line.split(": ", 1)
            known[tuple(name.split())] = reason
    return known


def run_client(name, port):
    """The outcome of each check: ok, skip, or why it failed."""
    plain = f"mongodb://127.0.0.1:{port}/"
    replica_set = f"{plain}?replicaSet=rs0"
    command = [str(part).replace("{plain}", plain) for part in CLIENTS[name]]
    if name != "mongosh":
        command += [plain, replica_set]
    environment = dict(os.environ, HEADWATER_REPLICA_SET_URI=replica_set, PYTHONDONTWRITEBYTECODE="1")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=CLIENT_SECONDS, env=environment,
        )
        said, ending = done.stdout, f"the client ended with {done.returncode}: {done.stderr[-1500:]}"
    except subprocess.TimeoutExpired as late:
        said, ending = (late.stdout or b"").decode(), f"no answer in {CLIENT_SECONDS} s"
    except OSError as error:
        said, ending = "", str(error)
    outcomes = {}
    for line in said.splitlines():
        for word in ("ok ", "not ok ", "skip "):
            if line.startswith(word):
                check, _, why = line[len(word):].partition(": ")
                outcomes[check] = {"ok ": "ok", "skip ": "skip"}.get(word, why)
    for check in CHECKS:
        outcomes.setdefault(check, ending)
    return outcomes


def main():
    prepare()
    known = known_failures()
    passed, failed, skipped = 0, [], 0
    names = sys.argv[1:] or list(CLIENTS)
    print(f"{'client':<15}" + "".join(f"{check:<20}" if "-" in check else f"{check:<11}" for check in CHECKS), flush=True)
    for name in names:
        start = time.monotonic()
        with headwater() as (port, log):
            outcomes = run_client(name, port)
            if "panicked" in log():
                failed.append(f"{name}: the server panicked:\n{log()[-3000:]}")
        row = f"{name:<15}"
        for check in CHECKS + [more for more in outcomes if more not in CHECKS]:
            outcome = outcomes[check]
            reason = known.get((name, check))
            if outcome == "skip":
                word, skipped = "-", skipped + 1
            elif outcome == "ok" and reason is None:
                word, passed = "ok", passed + 1
            elif outcome == "ok":
                word = "ALARM"
                failed.append(f"{name} {check} passes, but known-failures.txt lists it: {reason}")
            elif reason is not None:
                word, skipped = "known", skipped + 1
            else:
                word = "FAIL"
                failed.append(f"{name} {check}: {outcome}")
            if check not in CHECKS:
                word = f"{check} {word} "
            row += f"{word:<20}" if "-" in check else f"{word:<11}"
        print(f"{row}{time.monotonic() - start:6.1f} s", flush=True)
    for line in failed:
        print(f"FAIL {line}")
    print(f"clients: {passed} passed, {len(failed)} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
