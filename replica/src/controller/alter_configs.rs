//! AlterConfigs and IncrementalAlterConfigs (KIP-339).

use tautline_core::error::ErrorCode;
use tautline_core::limits::{CONFIG_VALUE_BYTES_MAX, GROUP_CONFIGURED_NAME_BYTES_MAX, GROUPS_CONFIGURED_MAX};

use super::{Controller, Decision, Refusal, repeated};
use crate::metadata::{ConfigResource, Configs, MetadataRecord};

/// Which configurations exist and what they may say. The table is the broker's; the controller only asks.
pub trait ConfigRules {
    /// Checks the whole of what would be set for a resource.
    ///
    /// # Errors
    /// INVALID_CONFIG (or INVALID_REQUEST) naming the first configuration that is unknown, not supported, not changeable at
    /// run time or has an illegal value.
    fn check(&self, resource: &ConfigResource, configs: &Configs) -> Result<(), Refusal>;

    /// The default of a configuration that is a list, `None` if it is not one or does not exist.
    fn list_default(&self, resource: &ConfigResource, name: &str) -> Option<String>;
}

/// One step of an incremental change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOp {
    /// Gives it a value.
    Set(Option<String>),
    /// Takes it back to the default.
    Delete,
    /// Adds the elements of a list that are not in it.
    Append(Option<String>),
    /// Takes elements out of a list.
    Subtract(Option<String>),
}

/// Changes of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange<T> {
    /// Whose.
    pub resource: ConfigResource,
    /// Names with what happens to them.
    pub entries: Vec<(String, T)>,
}

impl Controller {
    /// Decides on incremental changes.
    pub fn incremental_alter_configs(
        &self,
        changes: &[ConfigChange<ConfigOp>],
        rules: &dyn ConfigRules,
    ) -> Decision<()> {
        self.alter(changes, rules, |before, change| {
            let mut after = before.clone();
            for (name, op) in &change.entries {
                apply_op(&mut after, &change.resource, name, op, rules)?;
            }
            Ok(after)
        })
    }

    /// Decides on full changes: what is not named goes back to its default.
    pub fn alter_configs(
        &self,
        changes: &[ConfigChange<Option<String>>],
        rules: &dyn ConfigRules,
    ) -> Decision<()> {
        self.alter(changes, rules, |_, change| {
            let value = |(name, value): &(String, Option<String>)| {
                value
                    .clone()
                    .map(|value| (name.clone(), value))
                    .ok_or_else(|| null_value(name))
            };
            change.entries.iter().map(value).collect()
        })
    }

    fn alter<T>(
        &self,
        changes: &[ConfigChange<T>],
        rules: &dyn ConfigRules,
        wanted: impl Fn(&Configs, &ConfigChange<T>) -> Result<Configs, Refusal>,
    ) -> Decision<()> {
        let repeated_resources = repeated(changes.iter().map(|change| &change.resource));
        let mut records = Vec::new();
        let results = changes.iter().map(|change| {
            if repeated_resources.contains(&change.resource) {
                let message = "Each resource must appear at most once.";
                return Err(Refusal::new(ErrorCode::InvalidRequest, message));
            }
            if let Some(name) = repeated(change.entries.iter().map(|(name, _)| name)).first() {
                let message = format!("Error due to duplicate config keys: {name}");
                return Err(Refusal::new(ErrorCode::InvalidRequest, message));
            }
            let nothing = Configs::new();
            let before = self.existing(&change.resource)?.unwrap_or(&nothing);
            let after = wanted(before, change)?;
            for (name, value) in &after {
                if value.len() > CONFIG_VALUE_BYTES_MAX {
                    let message =
                        format!("The value of {name} is longer than {CONFIG_VALUE_BYTES_MAX} bytes.");
                    return Err(Refusal::new(ErrorCode::InvalidConfig, message));
                }
            }
            rules.check(&change.resource, &after)?;
            records.extend(difference(&change.resource, before, &after));
            Ok(())
        });
        let results = results.collect();
        Decision { records, results }
    }

    fn existing(&self, resource: &ConfigResource) -> Result<Option<&Configs>, Refusal> {
        let image = self.image();
        let exists = match resource {
            ConfigResource::Topic(name) => image.topic(name).is_some(),
            ConfigResource::Broker(node) => image.broker(*node).is_some(),
            ConfigResource::BrokerDefault => true,
            ConfigResource::Group(group) if group.is_empty() => false,
            ConfigResource::Group(group) if group.len() > GROUP_CONFIGURED_NAME_BYTES_MAX => {
                let message =
                    format!("A configured group's name has {GROUP_CONFIGURED_NAME_BYTES_MAX} bytes at most.");
                return Err(Refusal::new(ErrorCode::InvalidRequest, message));
            }
            ConfigResource::Group(group) => {
                let room = image.configured_groups().len() < GROUPS_CONFIGURED_MAX;
                if !room && image.group_configs(group).is_none() {
                    let message =
                        format!("More than {GROUPS_CONFIGURED_MAX} groups would have configurations.");
                    return Err(Refusal::new(ErrorCode::PolicyViolation, message));
                }
                true
            }
        };
        if exists {
            Ok(image.configs(resource))
        } else {
            Err(unknown(resource))
        }
    }
}

/// The refusal of a request about something that does not exist.
fn unknown(resource: &ConfigResource) -> Refusal {
    match resource {
        ConfigResource::Topic(name) if name.is_empty() => Refusal::new(
            ErrorCode::InvalidRequest,
            "Default topic resources are not allowed.",
        ),
        ConfigResource::Topic(name) => Refusal::new(
            ErrorCode::UnknownTopicOrPartition,
            format!("The topic '{name}' does not exist."),
        ),
        ConfigResource::Broker(node) => Refusal::new(
            ErrorCode::BrokerIdNotRegistered,
            format!("No broker with id {node} found."),
        ),
        // Any other group can be configured.
        ConfigResource::Group(_) => Refusal::new(
            ErrorCode::InvalidRequest,
            "Default group resources are not allowed.",
        ),
        ConfigResource::BrokerDefault => unreachable!("there is always a default for all brokers"),
    }
}

fn null_value(name: &str) -> Refusal {
    Refusal::new(
        ErrorCode::InvalidRequest,
        format!("Null value not supported for: {name}"),
    )
}

fn apply_op(
    configs: &mut Configs,
    resource: &ConfigResource,
    name: &str,
    op: &ConfigOp,
    rules: &dyn ConfigRules,
) -> Result<(), Refusal> {
    let (verb, value) = match op {
        ConfigOp::Delete => {
            configs.remove(name);
            return Ok(());
        }
        ConfigOp::Set(value) => {
            let value = value.clone().ok_or_else(|| null_value(name))?;
            configs.insert(name.to_owned(), value);
            return Ok(());
        }
        ConfigOp::Append(value) => ("APPEND to", value),
        ConfigOp::Subtract(value) => ("SUBTRACT from", value),
    };
    let value = value.as_ref().ok_or_else(|| null_value(name))?;
    let Some(default) = rules.list_default(resource, name) else {
        let message = format!("Can't {verb} key {name} because its type is not LIST.");
        return Err(Refusal::new(ErrorCode::InvalidConfig, message));
    };
    let current = configs.get(name).unwrap_or(&default);
    let mut elements: Vec<&str> = elements_of(current).collect();
    if matches!(op, ConfigOp::Append(_)) {
        for element in elements_of(value) {
            if !elements.contains(&element) {
                elements.push(element);
            }
        }
    } else {
        elements.retain(|element| !elements_of(value).any(|gone| gone == *element));
    }
    let joined = elements.join(",");
    configs.insert(name.to_owned(), joined);
    Ok(())
}

fn elements_of(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

/// The records that lead from `before` to `after`, in name order.
fn difference(resource: &ConfigResource, before: &Configs, after: &Configs) -> Vec<MetadataRecord> {
    let removed = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .map(|name| MetadataRecord::RemoveConfig {
            resource: resource.clone(),
            name: name.clone(),
        });
    let set = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value))
        .map(|(name, value)| MetadataRecord::SetConfig {
            resource: resource.clone(),
            name: name.clone(),
            value: value.clone(),
        });
    removed.chain(set).collect()
}
