//! Configuration: what a person may say, by which name, and what it means here.
//!
//! ```text
//! flags (--help)  --.                            .--> BrokerSettings   for the listeners, the controller, the handlers
//! file (TOML)     --+--> BrokerConfig + image ---+--> TopicSettings    for a topic's logs
//! metadata log    --'    (layers of values)      '--> Described        for DescribeConfigs
//! ```
//!
//! Topics and brokers are configured under Kafka's names. One table each says which exist, of which type, with which default,
//! and what is legal. **A configuration that is not honoured is not in the tables, and what is not in the tables is refused**,
//! never ignored. Everything here is plain data, `Send + Sync`; only [`StartOptions::load`] reads a file.

mod assignment;
mod broker;
mod broker_settings;
mod cores;
mod definition;
mod describe;
mod file;
mod flags;
mod group;
mod group_settings;
mod host_port;
mod layers;
mod machine;
mod rules;
mod size;
mod start;
mod topic;
mod topic_settings;
mod transaction_settings;

#[cfg(test)]
mod tests;

pub use assignment::Assignment;
pub use broker_settings::BrokerSettings;
pub use cores::{CoreExpression, show as show_cores};
pub use definition::{Check, ConfigError, Definition, Kind, Update};
pub use describe::{Described, Synonym};
pub use flags::{AdvertiseFlag, Cli, ColdReadFlag, Command, PollFlag, StartFlags};
pub use group_settings::InternalTopicSettings;
pub use host_port::HostPort;
pub use layers::{BrokerConfig, Source};
pub use machine::Machine;
pub use rules::Rules;
pub use start::{StartError, StartOptions};
pub use topic_settings::TopicSettings;

/// The topic configurations there are, in name order.
#[must_use]
pub const fn topic_definitions() -> &'static [Definition] {
    topic::TABLE
}

/// The broker configurations there are, in name order.
#[must_use]
pub const fn broker_definitions() -> &'static [Definition] {
    broker::TABLE
}
