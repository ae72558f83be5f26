//! Scenarios named after the KIPs that ask for them, the format of records, and random schedules.

mod host;
mod kip360;
mod kip890;
mod kip98;
mod memory;
mod queries;
mod random;
mod records;
mod time;
mod waiting;
