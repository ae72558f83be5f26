//! The tables as the controller asks them.

use tautline_replica::Refusal;
use tautline_replica::controller::ConfigRules;
use tautline_replica::metadata::{ConfigResource, Configs};

use super::definition::{ConfigError, Definition, Kind, Update};
use super::{BrokerConfig, broker, group, topic};

/// Which configurations there are and what they may say while the broker runs, as it was started.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a>(&'a BrokerConfig);

impl BrokerConfig {
    /// The rules for what is changed while this broker runs.
    #[must_use]
    pub const fn rules(&self) -> Rules<'_> {
        Rules(self)
    }
}

impl Rules<'_> {
    fn definition(resource: &ConfigResource, name: &str) -> Result<&'static Definition, ConfigError> {
        match resource {
            ConfigResource::Topic(_) => topic::definition(name),
            ConfigResource::Group(_) => group::definition(name),
            ConfigResource::Broker(_) | ConfigResource::BrokerDefault => broker::definition(name),
        }
    }
}

impl ConfigRules for Rules<'_> {
    fn check(&self, resource: &ConfigResource, configs: &Configs) -> Result<(), Refusal> {
        for (name, value) in configs {
            let definition = Self::definition(resource, name)?;
            match definition.update {
                Update::Dynamic => definition.check(value)?,
                Update::ReadOnly => Err(ConfigError::ReadOnly {
                    name: definition.name,
                })?,
                Update::ByFlag(flag) => Err(ConfigError::ByFlag {
                    name: definition.name,
                    flag,
                })?,
            }
        }
        match resource {
            ConfigResource::Topic(_) => check_lags(configs)?,
            ConfigResource::Group(_) => self.0.check_consumer_group(configs)?,
            ConfigResource::Broker(_) | ConfigResource::BrokerDefault => {}
        }
        Ok(())
    }

    fn list_default(&self, resource: &ConfigResource, name: &str) -> Option<String> {
        let definition = Self::definition(resource, name).ok()?;
        (definition.kind == Kind::List).then(|| definition.default.unwrap_or_default().to_owned())
    }
}

/// A record that may not be cleaned yet can't have to be.
fn check_lags(configs: &Configs) -> Result<(), ConfigError> {
    let lag_ms = |name: &str| {
        configs
            .get(name)
            .and_then(|value| value.trim().parse::<i64>().ok())
    };
    let (min, max) = (lag_ms("min.compaction.lag.ms"), lag_ms("max.compaction.lag.ms"));
    match (min, max) {
        (Some(min), Some(max)) if min > max => Err(ConfigError::Illegal {
            name: "min.compaction.lag.ms",
            value: min.to_string(),
            legal: format!("max.compaction.lag.ms is {max}, which is less"),
        }),
        _ => Ok(()),
    }
}
