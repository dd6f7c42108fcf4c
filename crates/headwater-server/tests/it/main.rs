//! The server as raw bytes see it, in front of a service made for these tests.

mod compression;
mod exhaust;
mod fixture;
mod hostile;
mod leaving;
mod limits;
mod opcodes;
mod order;
mod raw;
mod shutdown;
mod sockets;
