//! What an acknowledgement of the topic under test promises, as the broker itself states it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::client::admin::{Admin, Config};

/// The configurations that decide it.
const KEYS: [&str; 3] = ["flush.messages", "flush.ms", "min.insync.replicas"];

/// The topic's durability.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Durability {
    /// In a sentence.
    pub statement: String,
    /// The configurations read back; absent when the broker has no DescribeConfigs.
    pub configs: Option<BTreeMap<String, Config>>,
}

impl Durability {
    /// Whether an acknowledged record is on disk; None when the broker doesn't say.
    pub fn is_durable(&self) -> Option<bool> {
        let configs = self.configs.as_ref()?;
        Some(configs.get("flush.messages")?.value == "1")
    }

    /// Asks the broker, over a connection of its own: one that can't say is measured all the same.
    pub fn of(bootstrap: &str, topic: &str) -> Durability {
        let asked = Admin::connect(bootstrap).and_then(|mut admin| admin.topic_configs(topic, &KEYS));
        let configs = match asked {
            Ok(configs) => configs,
            Err(error) => {
                let statement = format!("unknown: the broker doesn't say flush.messages ({error:#})");
                return Durability {
                    statement,
                    configs: None,
                };
            }
        };
        let flush = configs.as_ref().and_then(|configs| configs.get("flush.messages"));
        let statement = match flush {
            Some(config) if config.value == "1" => {
                format!(
                    "durable before acknowledged (flush.messages=1, {})",
                    source(config)
                )
            }
            Some(config) => format!(
                "relaxed: the broker says flush.messages={} ({}), an acknowledged record may not be on disk yet",
                config.value,
                source(config)
            ),
            None => "unknown: the broker doesn't describe flush.messages".into(),
        };
        Durability { statement, configs }
    }
}

fn source(config: &Config) -> &'static str {
    if config.set_on_topic {
        "set on the topic"
    } else {
        "the broker's default"
    }
}
