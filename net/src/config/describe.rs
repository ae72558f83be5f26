//! What DescribeConfigs tells of a topic, a group or a broker.

use tautline_replica::metadata::{Configs, MetadataImage};

use super::definition::{Definition, Kind};
use super::layers::{BrokerConfig, Layers, Source};
use super::{broker, group, topic};

/// A value that is set somewhere for the same thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The name it is set under.
    pub name: &'static str,
    /// The value, in the units of that name.
    pub value: String,
    /// Where.
    pub source: Source,
}

/// One configuration of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// The value that counts; `None` if nothing is set and there is no default.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// Whether it can't be changed while the broker runs.
    pub read_only: bool,
    /// Whether its value is a secret; none is, so far.
    pub sensitive: bool,
    /// Every place where it is set, the one that counts first, the default last.
    pub synonyms: Vec<Synonym>,
    /// Its type.
    pub kind: Kind,
    /// A sentence for a person.
    pub documentation: &'static str,
}

impl Described {
    /// Whether the default counts.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.source == Source::Default
    }

    fn of(definition: &'static Definition, layers: Layers<'_>) -> Self {
        let mut candidates = layers.candidates(definition).peekable();
        let first = candidates.peek();
        Self {
            name: definition.name,
            value: first.map(|first| first.value().into_owned()),
            source: first.map_or(Source::Default, |first| first.source),
            read_only: definition.is_read_only(),
            sensitive: false,
            synonyms: candidates
                .map(|it| Synonym {
                    name: it.name,
                    value: it.text.to_owned(),
                    source: it.source,
                })
                .collect(),
            kind: definition.kind,
            documentation: definition.documentation,
        }
    }
}

impl BrokerConfig {
    /// Describes a topic for which `configs` was set; of its configurations those that are `wanted`.
    pub fn describe_topic(
        &self,
        image: &MetadataImage,
        configs: &Configs,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<Described> {
        let layers = Layers {
            topic: Some(configs),
            ..self.layers(image)
        };
        topic::TABLE
            .iter()
            .filter(|it| wanted(it.name))
            .map(|it| Described::of(it, layers))
            .collect()
    }

    /// Describes a group for which `configs` was set; of its configurations those that are `wanted`.
    pub fn describe_group(
        &self,
        image: &MetadataImage,
        configs: &Configs,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<Described> {
        // A group's own layer lies where a topic's does.
        let layers = Layers {
            topic: Some(configs),
            ..self.layers(image)
        };
        let own = |source: &mut Source| {
            if *source == Source::DynamicTopic {
                *source = Source::DynamicGroup;
            }
        };
        let described = group::TABLE.iter().filter(|it| wanted(it.name)).map(|it| {
            let mut described = Described::of(it, layers);
            own(&mut described.source);
            for synonym in &mut described.synonyms {
                own(&mut synonym.source);
            }
            described
        });
        described.collect()
    }

    /// Describes this broker.
    pub fn describe_broker(&self, image: &MetadataImage, wanted: impl Fn(&str) -> bool) -> Vec<Described> {
        let layers = self.layers(image);
        broker::TABLE
            .iter()
            .filter(|it| wanted(it.name))
            .map(|it| Described::of(it, layers))
            .collect()
    }

    /// Describes what was set for all brokers: that, and nothing else, as Kafka does for the resource without a name.
    pub fn describe_broker_default(
        &self,
        image: &MetadataImage,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<Described> {
        let nothing = Configs::new();
        let all = image.broker_defaults();
        let layers = Layers {
            topic: None,
            node: None,
            all,
            fixed: &nothing,
        };
        let is_set = |it: &&Definition| all.contains_key(it.name) && wanted(it.name);
        broker::TABLE
            .iter()
            .filter(is_set)
            .map(|it| Described::of(it, layers))
            .collect()
    }
}
