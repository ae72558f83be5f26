//! Scenarios named after the KIPs that ask for them, crashes, scale, and random schedules.

mod admin;
mod kip134;
mod kip211;
mod kip345;
mod kip394;
mod kip447;
mod lab;
mod memory;
mod offsets;
mod rebalances;
mod scale;
mod schedules;
