"""A `headwater serve` of its own for a test run: a free port, a temporary data folder, ended with the run."""

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 20


def built(name):
    """A program that cargo built last in the debug folder."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / name


def binary():
    """The program under test: what HEADWATER_BIN names, or what was built."""
    return pathlib.Path(os.environ.get("HEADWATER_BIN") or built("headwater"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def headwater(*options):
    """Starts the server; gives its port and a function that reads what it printed."""
    program = binary()
    if not program.is_file():
        raise SystemExit(f"{program} is missing: cargo build -p headwater-cli")
    with tempfile.TemporaryDirectory(prefix="headwater-") as folder:
        port = free_port()
        log = pathlib.Path(folder, "log")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
        with open(log, "wb") as out:
            process = subprocess.Popen(
                [program, "serve", "--data", f"{folder}/data", "--listen", f"127.0.0.1:{port}", *options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment,
            )
        try:
            deadline = time.monotonic() + START_SECONDS
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise SystemExit("the server does not start:\n" + log.read_text(errors="replace"))
                    time.sleep(0.02)
            yield port, lambda: log.read_text(errors="replace")
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
