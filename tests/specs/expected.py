"""The lists of tests that are known to fail, and why."""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent
LIST = HERE / "expected-failures.txt"
DRIVER_LIST = HERE / "driver-expected-failures.txt"


class Expected:
    """The listed names and prefixes with their reasons."""

    def __init__(self, text, file=LIST):
        self.rows, reason = {}, None
        for number, line in enumerate(text.splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                reason = line.strip("[]")
                if not reason.startswith(("later issue: ", "driver: ")):
                    raise SystemExit(f"{file.name}:{number}: no reason of a known kind: {reason}")
            else:
                self.rows[line] = reason

    @classmethod
    def read(cls, file=LIST):
        return cls(file.read_text() if file.is_file() else "", file)

    def reason(self, name):
        fitting = [row for row in self.rows if row == name or (row.endswith("*") and name.startswith(row[:-1]))]
        return self.rows[max(fitting, key=len)] if fitting else None
