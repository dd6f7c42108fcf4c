#!/usr/bin/env python3
"""The connector's public API names types of few other crates, and what may grow says so.

    check.py [--list] [FILE]

Reads what tests/api/rustdoc left as headwater.json beside the pages of `cargo doc`. --list shows what of other crates
is named, and where.
"""
import json
import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

# What users of the crate see of others, each a promise about versions: by the beginning of the path.
ALLOWED = {
    "alloc::": "the standard library",
    "core::": "the standard library",
    "std::": "the standard library",
    "bson::": "the driver's values",
    "mongodb::": "the driver, which stays reachable",
    "serde::": "documents of the caller's types",
    "serde_core::": "the same, in versions of serde that keep their traits apart",
    "futures_core::stream::Stream": "cursors are streams, as the driver's are",
    "tokio::io::async_read::AsyncRead": "files are read from readers",
    "tokio::io::async_write::AsyncWrite": "files are written to writers",
    "tokio::io::read_buf::ReadBuf": "what an AsyncRead fills",
    "axum::routing::Router": "feature `http`: what an application mounts",
}


def place(item):
    span = item.get("span") or {"filename": "?", "begin": [0]}
    return f"{span['filename']}:{span['begin'][0]} {item.get('name') or ''}".rstrip()


def foreign(api, item):
    """The paths of other crates' types and traits in an item's signature."""
    implementation = item["inner"].get("impl") or {}
    if implementation.get("blanket_impl") or implementation.get("is_synthetic"):
        return  # what the compiler or another crate says of every type
    open_parts = [item["inner"]]
    while open_parts:
        part = open_parts.pop()
        if isinstance(part, list):
            open_parts += part
        elif isinstance(part, dict):
            open_parts += part.values()
            path = api["paths"].get(str(part.get("id"))) if "path" in part else None
            if path and path["crate_id"] != 0:
                yield "::".join(path["path"])


def may_grow(api, item):
    """Whether it is an enum, or a struct with public fields: the user could match or make one in full."""
    if "enum" in item["inner"]:
        return True
    kind = (item["inner"].get("struct") or {}).get("kind")
    fields = kind["plain"]["fields"] if isinstance(kind, dict) and "plain" in kind else []
    return any(api["index"][str(field)]["visibility"] == "public" for field in fields if str(field) in api["index"])


def main():
    words = sys.argv[1:]
    files = [word for word in words if word != "--list"]
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    with open(files[0] if files else os.path.join(target, "doc", "headwater.json"), encoding="utf-8") as file:
        api = json.load(file)
    items = [item for item in api["index"].values() if item["crate_id"] == 0]
    named, closed, growing = {}, [], 0
    for item in items:
        for path in foreign(api, item):
            named.setdefault(path, set()).add(place(item))
        if item["visibility"] == "public" and may_grow(api, item):
            growing += 1
            if "non_exhaustive" not in json.dumps(item["attrs"]):
                closed.append(place(item))
    if "--list" in words:
        for path, places in sorted(named.items()):
            print(f"{path} ({len(places)}): {min(places)}")

    # The format of the file changes with the compiler: what is certainly there must have been found.
    modules = {item["name"] for item in items if "module" in item["inner"]}
    expected = "bson::document::Document" in named and growing > 20 and "http" in modules
    if not expected:
        print(f"format {api.get('format_version')} of rustdoc is not understood, or the feature `http` is missing")
        return 1
    leaks = {path: places for path, places in named.items() if not path.startswith(tuple(ALLOWED))}
    for path, places in sorted(leaks.items()):
        print(f"{path} is named in public: {', '.join(sorted(places))}")
    for what in sorted(closed):
        print(f"{what}: may grow, but is not #[non_exhaustive]")
    print(f"public API: {len(named)} types and traits of other crates named, {growing} types that may grow")
    return 1 if leaks or closed else 0


sys.exit(main())
