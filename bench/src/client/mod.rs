//! The harness's own Kafka client: blocking sockets, frames built once and patched, nothing allocated a message.
//! What is asked once a run (metadata, topics, configurations) goes through the kafka-protocol crate.

pub mod admin;
pub mod batch;
pub mod connection;
pub mod fetch;
pub mod produce;
pub mod template;
pub mod wire;
