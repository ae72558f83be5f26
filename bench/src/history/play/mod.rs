//! The clients of a run: what they do is random, what they see they record.

pub mod client;
pub mod consumer;
mod fetcher;
pub mod producer;
pub mod transactional;
pub mod trimmer;
mod writer;
