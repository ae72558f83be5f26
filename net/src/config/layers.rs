//! Which value counts, when several are set.
//!
//! ```text
//! topic's own > for each synonym, nearest first: { this broker's > all brokers' > start } > default
//! ```

use std::borrow::Cow;

use tautline_core::ids::NodeId;
use tautline_replica::metadata::{Configs, MetadataImage};

use super::definition::{ConfigError, Definition, Update, parse_flag, parse_number};
use super::{broker, topic};

/// Where a value comes from, as DescribeConfigs tells it (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum Source {
    /// Set for the topic.
    DynamicTopic = 1,
    /// Set for this broker while it ran.
    DynamicBroker = 2,
    /// Set for all brokers while they ran.
    DynamicDefaultBroker = 3,
    /// Set in the file or by a flag.
    StaticBroker = 4,
    /// Set nowhere.
    Default = 5,
    /// Set for the group.
    DynamicGroup = 8,
}

/// What was set for one broker at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    node: NodeId,
    fixed: Configs,
}

impl BrokerConfig {
    /// A broker started with these settings.
    ///
    /// # Errors
    /// The first one that is unknown, illegal, has a flag of its own or does not go with another.
    pub fn new<'a>(
        node: NodeId,
        set: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ConfigError> {
        let mut fixed = Configs::new();
        for (name, value) in set {
            check_fixed(name, value)?;
            fixed.insert(name.to_owned(), value.trim().to_owned());
        }
        let mut config = Self { node, fixed };
        config.check_consumer_groups()?;
        config.tell("broker.id", node.to_string());
        config.tell("node.id", node.to_string());
        Ok(config)
    }

    /// Notes something that a flag of its own has set, so that DescribeConfigs can tell it.
    ///
    /// # Panics
    /// If the table has no such configuration.
    pub fn tell(&mut self, name: &'static str, value: impl Into<String>) {
        assert!(
            broker::definition(name).is_ok_and(|it| matches!(it.update, Update::ByFlag(_))),
            "{name}"
        );
        self.fixed.insert(name.to_owned(), value.into());
    }

    /// The broker.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The values for broker configurations.
    pub(super) fn layers<'a>(&'a self, image: &'a MetadataImage) -> Layers<'a> {
        Layers {
            topic: None,
            node: image.broker_configs(self.node),
            all: image.broker_defaults(),
            fixed: &self.fixed,
        }
    }
}

/// Checks what is set at start.
pub(super) fn check_fixed(name: &str, value: &str) -> Result<(), ConfigError> {
    let definition = broker::definition(name)?;
    if let Update::ByFlag(flag) = definition.update {
        return Err(ConfigError::ByFlag {
            name: definition.name,
            flag,
        });
    }
    definition.check(value)
}

/// Everything that is set, for one topic or one broker.
#[derive(Clone, Copy)]
pub(super) struct Layers<'a> {
    pub topic: Option<&'a Configs>,
    pub node: Option<&'a Configs>,
    pub all: &'a Configs,
    pub fixed: &'a Configs,
}

/// One place where a value is set.
pub(super) struct Candidate<'a> {
    pub name: &'static str,
    pub text: &'a str,
    pub source: Source,
    /// Units of the configuration asked for in one of this one.
    pub factor: i64,
}

impl Candidate<'_> {
    /// The text in the units of the configuration asked for. What is negative means "unlimited" in every unit.
    pub fn value(&self) -> Cow<'_, str> {
        match self.text.parse::<i64>() {
            Ok(number) if self.factor != 1 && number >= 0 => {
                Cow::Owned(number.saturating_mul(self.factor).to_string())
            }
            _ => Cow::Borrowed(self.text),
        }
    }
}

impl<'a> Layers<'a> {
    /// Where a configuration is set, the one that counts first, the default last. A value that is not legal (any more) does
    /// not count, so that what comes out always parses.
    pub fn candidates(self, asked: &'static Definition) -> impl Iterator<Item = Candidate<'a>> {
        let own = [(asked.name, 1)];
        let topic_level = self.topic.map(|configs| (Source::DynamicTopic, configs));
        // A topic's own name means something else on the broker's level, if it means anything.
        let broker_own = if self.topic.is_some() { None } else { Some(own[0]) };
        let topic = topic_level
            .into_iter()
            .filter_map(move |(source, configs)| set(configs, asked, own[0], source));
        let broker = broker_own
            .into_iter()
            .chain(asked.synonyms.iter().copied())
            .flat_map(move |name| {
                let levels = [
                    (Source::DynamicBroker, self.node),
                    (Source::DynamicDefaultBroker, Some(self.all)),
                    (Source::StaticBroker, Some(self.fixed)),
                ];
                levels.into_iter().filter_map(move |(source, configs)| {
                    let definition = broker::definition(name.0).ok()?;
                    set(configs?, definition, name, source)
                })
            });
        let default = asked.default.map(|text| Candidate {
            name: asked.name,
            text,
            source: Source::Default,
            factor: 1,
        });
        topic.chain(broker).chain(default)
    }

    fn text(self, asked: &'static Definition) -> Cow<'a, str> {
        let first = self
            .candidates(asked)
            .next()
            .expect("only configurations with defaults have typed values");
        let text: &'a str = first.text;
        match first.value() {
            Cow::Owned(converted) => Cow::Owned(converted),
            Cow::Borrowed(_) => Cow::Borrowed(text.trim()),
        }
    }

    /// The value of an integer of the topic's table, or of the broker's if these are a broker's layers.
    pub fn integer(self, name: &'static str) -> i64 {
        self.text(self.definition(name))
            .parse()
            .expect("the candidates are legal, and the check is one of integers")
    }

    /// Likewise of a number with a fraction.
    pub fn number(self, name: &'static str) -> f64 {
        parse_number(&self.text(self.definition(name)))
            .expect("the candidates are legal, and the check is one of numbers")
    }

    /// Likewise of a flag.
    pub fn flag(self, name: &'static str) -> bool {
        parse_flag(&self.text(self.definition(name)))
            .expect("the candidates are legal, and the check is one of flags")
    }

    /// Likewise of a word.
    pub fn word(self, name: &'static str) -> Cow<'a, str> {
        self.text(self.definition(name))
    }

    fn definition(self, name: &'static str) -> &'static Definition {
        let definition = if self.topic.is_some() {
            topic::definition(name)
        } else {
            broker::definition(name)
        };
        definition.expect("typed settings use names that are in the tables")
    }
}

fn set<'a>(
    configs: &'a Configs,
    definition: &Definition,
    (name, factor): (&'static str, i64),
    source: Source,
) -> Option<Candidate<'a>> {
    let text = configs.get(name)?;
    definition.check(text).ok()?;
    Some(Candidate {
        name,
        text,
        source,
        factor,
    })
}
