//! The configurations of groups: what consumer groups (KIP-848) may have of their own.

use tautline_replica::metadata::{Configs, MetadataImage};

use super::BrokerConfig;
use super::definition::{ConfigError, Definition, Kind, find};
use super::layers::Layers;
use super::topic::INT_AT_LEAST_1;

/// In name order.
pub(super) static TABLE: &[Definition] = &[
    Definition::new(
        "consumer.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        INT_AT_LEAST_1,
        "How often the members of the consumer group send heartbeats, in milliseconds.",
    )
    .synonyms(&[("group.consumer.heartbeat.interval.ms", 1)]),
    Definition::new(
        "consumer.session.timeout.ms",
        Kind::Int,
        "45000",
        INT_AT_LEAST_1,
        "After how long without a heartbeat a member leaves the consumer group, in milliseconds.",
    )
    .synonyms(&[("group.consumer.session.timeout.ms", 1)]),
];

/// The definition of a group configuration.
///
/// # Errors
/// If there is none that this broker honours.
pub(super) fn definition(name: &str) -> Result<&'static Definition, ConfigError> {
    find(TABLE, name).ok_or_else(|| ConfigError::Unknown {
        level: "group",
        name: name.to_owned(),
    })
}

/// Something that is set for a group or for all of them, with its name.
type Named = (&'static str, i64);

impl BrokerConfig {
    /// Whether what consumer groups get by default lies within the broker's own bounds, as Kafka has it.
    ///
    /// # Errors
    /// [`ConfigError::Unfit`].
    pub(super) fn check_consumer_groups(&self) -> Result<(), ConfigError> {
        self.check_consumer_group(&Configs::new())
    }

    /// Likewise what a group has with these configurations of its own.
    ///
    /// # Errors
    /// [`ConfigError::Unfit`].
    pub(super) fn check_consumer_group(&self, own: &Configs) -> Result<(), ConfigError> {
        // None of these changes while the broker runs.
        let image = MetadataImage::default();
        let layers = self.layers(&image);
        let [heartbeat, session] = [0, 1].map(|index| effective(&TABLE[index], own, layers));
        check_within(
            session,
            "group.consumer.min.session.timeout.ms",
            "group.consumer.max.session.timeout.ms",
            layers,
        )?;
        check_within(
            heartbeat,
            "group.consumer.min.heartbeat.interval.ms",
            "group.consumer.max.heartbeat.interval.ms",
            layers,
        )?;
        if session.1 <= heartbeat.1 {
            return Err(unfit(session, "not greater than", heartbeat));
        }
        Ok(())
    }
}

/// The group's own value, or else the broker's.
fn effective(definition: &Definition, own: &Configs, layers: Layers<'_>) -> Named {
    let own = own.get(definition.name).and_then(|text| text.trim().parse().ok());
    match own {
        Some(own) => (definition.name, own),
        None => {
            let (broker, _) = definition.synonyms[0];
            (broker, layers.integer(broker))
        }
    }
}

fn check_within(
    value: Named,
    min: &'static str,
    max: &'static str,
    layers: Layers<'_>,
) -> Result<(), ConfigError> {
    let [min, max] = [min, max].map(|name| (name, layers.integer(name)));
    if value.1 < min.1 {
        Err(unfit(value, "less than", min))
    } else if value.1 > max.1 {
        Err(unfit(value, "greater than", max))
    } else {
        Ok(())
    }
}

const fn unfit(one: Named, relation: &'static str, other: Named) -> ConfigError {
    ConfigError::Unfit {
        name: one.0,
        value: one.1,
        relation,
        other: other.0,
        bound: other.1,
    }
}

#[cfg(test)]
mod tests {
    use tautline_core::ids::NodeId;

    use super::super::broker;
    use super::*;

    fn started(set: &[(&str, &str)]) -> Result<BrokerConfig, String> {
        BrokerConfig::new(NodeId(1), set.iter().copied()).map_err(|error| error.to_string())
    }

    /// As KIP-848 has them, and Kafka checks them at its start.
    #[test]
    fn a_brokers_defaults_lie_within_its_bounds() {
        let soon = ("group.consumer.session.timeout.ms", "6000");
        assert_eq!(
            started(&[soon]).unwrap_err(),
            "'group.consumer.session.timeout.ms' is 6000, less than 'group.consumer.min.session.timeout.ms', which is \
             45000: change one of the two"
        );
        started(&[soon, ("group.consumer.min.session.timeout.ms", "6000")]).unwrap();
        for set in [
            &[("group.consumer.session.timeout.ms", "60001")][..],
            &[("group.consumer.min.session.timeout.ms", "45001")],
            &[("group.consumer.max.session.timeout.ms", "44999")],
            &[("group.consumer.heartbeat.interval.ms", "4999")],
            &[("group.consumer.heartbeat.interval.ms", "15001")],
            &[("group.consumer.min.heartbeat.interval.ms", "5001")],
            &[("group.consumer.max.heartbeat.interval.ms", "4999")],
            &[
                ("group.consumer.heartbeat.interval.ms", "45000"),
                ("group.consumer.max.heartbeat.interval.ms", "60000"),
            ],
        ] {
            assert!(started(set).is_err(), "{set:?}");
        }
    }

    #[test]
    fn a_groups_own_lie_within_the_brokers_bounds() {
        let broker = started(&[
            ("group.consumer.min.heartbeat.interval.ms", "100"),
            ("group.consumer.max.heartbeat.interval.ms", "70000"),
        ])
        .unwrap();
        for (set, legal) in [
            (&[("consumer.session.timeout.ms", "45000")][..], true),
            (&[("consumer.session.timeout.ms", "60000")], true),
            (&[("consumer.session.timeout.ms", "44999")], false),
            (&[("consumer.session.timeout.ms", "60001")], false),
            (&[("consumer.heartbeat.interval.ms", "100")], true),
            (&[("consumer.heartbeat.interval.ms", "99")], false),
            (&[("consumer.heartbeat.interval.ms", "70001")], false),
            // The broker's session timeout counts, where the group has none.
            (&[("consumer.heartbeat.interval.ms", "45000")], false),
            (
                &[
                    ("consumer.heartbeat.interval.ms", "45000"),
                    ("consumer.session.timeout.ms", "45001"),
                ],
                true,
            ),
        ] {
            let own = set
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()));
            let checked = broker.check_consumer_group(&own.collect());
            assert_eq!(checked.is_ok(), legal, "{set:?} {checked:?}");
        }
    }

    #[test]
    fn the_table_is_in_name_order_and_agrees_with_the_brokers() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        for group in TABLE {
            group.check(group.default.unwrap()).unwrap();
            let nearest = broker::definition(group.synonyms[0].0).unwrap();
            assert_eq!((nearest.default, nearest.check), (group.default, group.check));
            assert!(group.documentation.ends_with('.'), "{}", group.name);
        }
    }
}
