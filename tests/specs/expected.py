"""The lists of tests that are known to fail, and why."""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent
LIST = HERE / "expected-failures.txt"
DRIVER_LIST = HERE / "driver-expected-failures.txt"


class Expected:
    """The listed names and prefixes with their reasons."""

    def __init__(self, text, file=LIST):
        self.rows, self.file, reason = {}, file, None
        self.head = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
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

    def rewrite(self, groups, rows):
        """Writes the list with other rows for these groups of tests."""
        kept = {row: reason for row, reason in self.rows.items() if row.split("/")[0] not in groups}
        sections = {}
        for row, reason in sorted({**kept, **rows}.items()):
            sections.setdefault(reason, []).append(row)
        text = (f"\n[{reason}]\n" + "".join(f"{row}\n" for row in names) for reason, names in sorted(sections.items()))
        self.file.write_text(self.head + "".join(text))
        print(f"wrote {self.file}")
