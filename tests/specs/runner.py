"""A suite of a driver's tests in a process of its own, against a server of its own: what each of its tests came to."""

import json
import os
import subprocess
import time

from judge import ENV
from server import headwater


def run_suite(group, arguments, seconds, environment, folder=None):
    """Runs Python with these arguments; gives the group, name -> (outcome, why), and how long it took, in seconds."""
    start, outcomes = time.monotonic(), {}
    with headwater("--test-commands") as (port, log):
        environment = {**environment, **os.environ, "DB_IP": "127.0.0.1", "DB_PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                [ENV / "python/bin/python", "-W", "ignore", *arguments],
                capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment, timeout=seconds, cwd=folder,
            )
            said, ending = done.stdout, done.stderr[-2000:] if done.returncode else ""
        except subprocess.TimeoutExpired as late:
            said, ending = (late.stdout or b"").decode(), f"no end in {seconds} s"
        for line in said.splitlines():
            if line.startswith('{"name"'):
                test = json.loads(line)
                outcomes[test["name"]] = (test["outcome"], test["why"])
        if ending or not outcomes:
            outcomes[f"{group}/the runner"] = ("fail", ending or "no tests")
        if "panicked" in log():
            outcomes[f"{group}/the server"] = ("fail", log()[-2000:])
    return group, outcomes, time.monotonic() - start
