//! The harness from outside: the binary, run against a broker made for tests.

mod broker;
mod compare;
mod load;
mod verify;
