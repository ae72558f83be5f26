//! The Kafka wire protocol on the shards, and the composition of the broker.
//!
//! From left to right: [`server`] starts the shards, [`connection`] cuts a socket into requests and keeps their responses in
//! order, [`dispatch`] finds the handler, [`handlers`] decode, ask [`broker`] and encode, with [`wire`] for the bytes. No
//! decision is taken here: what may be appended is the store's, what may be changed is the controller's. Beside that way,
//! [`admin`] tells what [`metrics`] count, and a sweeper closes connections on which nothing moves.

pub mod admin;
pub mod broker;
pub mod config;
pub mod connection;
pub mod coordinator;
pub mod dispatch;
pub mod faults;
pub mod fetch_session;
pub mod handlers;
pub mod metrics;
pub mod node;
pub mod server;
mod sweeper;
pub mod trace;
pub mod tune;
pub mod wire;
