//! House rules that run as tests (see `tests/`).
