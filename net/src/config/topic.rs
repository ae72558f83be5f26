//! The topic configurations this broker honours, and Kafka's others by name.

use super::definition::{Check, ConfigError, Definition, Kind, find};

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Segments below that would be all headers (KIP-1030).
pub(super) const SEGMENT_BYTES_MIN: i64 = 1 << 20;
/// Positions in a segment are 32 bits on the wire of Kafka's own tools.
pub(super) const SEGMENT_BYTES_MAX: i64 = i32::MAX as i64;

pub(super) const AT_LEAST_0: Check = Check::Integer {
    min: 0,
    max: i64::MAX,
};
pub(super) const AT_LEAST_1: Check = Check::Integer {
    min: 1,
    max: i64::MAX,
};
pub(super) const OR_UNLIMITED: Check = Check::Integer {
    min: -1,
    max: i64::MAX,
};
pub(super) const INT_AT_LEAST_0: Check = Check::Integer {
    min: 0,
    max: i32::MAX as i64,
};
pub(super) const INT_AT_LEAST_1: Check = Check::Integer {
    min: 1,
    max: i32::MAX as i64,
};
pub(super) const SEGMENT_BYTES: Check = Check::Integer {
    min: SEGMENT_BYTES_MIN,
    max: SEGMENT_BYTES_MAX,
};
pub(super) const TIMESTAMP_TYPE: Check = Check::OneOf(&["CreateTime", "LogAppendTime"]);
pub(super) const CLEANUP_POLICY: Check = Check::SomeOf(&["compact", "delete"]);
pub(super) const PRODUCER_ONLY: Check = Check::Only {
    value: "producer",
    why: "batches are stored as the producer compressed them",
};
pub(super) const CLEAN_ONLY: Check = Check::Only {
    value: "false",
    why: "a replica that misses acknowledged records never becomes leader",
};

/// In name order.
pub(super) static TABLE: &[Definition] = &[
    Definition::new(
        "cleanup.policy",
        Kind::List,
        "delete",
        CLEANUP_POLICY,
        "What happens to old segments: 'delete' removes those beyond retention.ms or retention.bytes, 'compact' keeps the \
         last record of each key; 'compact,delete' does both.",
    )
    .synonyms(&[("log.cleanup.policy", 1)]),
    Definition::new(
        "compression.type",
        Kind::String,
        "producer",
        PRODUCER_ONLY,
        "How batches are stored: 'producer' keeps each as its producer compressed it.",
    )
    .synonyms(&[("compression.type", 1)]),
    Definition::new(
        "delete.retention.ms",
        Kind::Long,
        "86400000",
        AT_LEAST_0,
        "How long a compacted topic keeps a record that deletes its key, in milliseconds from when it was first cleaned: \
         a reader that takes longer for the whole log may miss it.",
    )
    .synonyms(&[("log.cleaner.delete.retention.ms", 1)]),
    Definition::new(
        "file.delete.delay.ms",
        Kind::Long,
        "60000",
        AT_LEAST_0,
        "How long the files of deleted segments are kept before the disk space is given back, in milliseconds.",
    )
    .synonyms(&[("log.segment.delete.delay.ms", 1)]),
    Definition::new(
        "flush.messages",
        Kind::Long,
        "1",
        AT_LEAST_1,
        "How many records may be acknowledged before they are forced to disk; 1, the default here, makes every \
         acknowledgement durable, and more gives that promise up for speed.",
    )
    .synonyms(&[("log.flush.interval.messages", 1)]),
    Definition::new(
        "flush.ms",
        Kind::Long,
        "9223372036854775807",
        AT_LEAST_0,
        "How long acknowledged records may stay in memory before they are forced to disk, in milliseconds, where \
         flush.messages is more than 1.",
    )
    .synonyms(&[("log.flush.interval.ms", 1)]),
    Definition::new(
        "index.interval.bytes",
        Kind::Int,
        "4096",
        INT_AT_LEAST_0,
        "How many bytes of a log lie between two entries of its index; fewer find an offset faster and take more memory.",
    )
    .synonyms(&[("log.index.interval.bytes", 1)]),
    Definition::new(
        "max.compaction.lag.ms",
        Kind::Long,
        "9223372036854775807",
        AT_LEAST_1,
        "After how long a record of a compacted topic is cleaned at the latest, whatever min.cleanable.dirty.ratio says, in \
         milliseconds.",
    )
    .synonyms(&[("log.cleaner.max.compaction.lag.ms", 1)]),
    Definition::new(
        "max.message.bytes",
        Kind::Int,
        "1048588",
        INT_AT_LEAST_0,
        "The largest record batch the topic takes, after compression, in bytes.",
    )
    .synonyms(&[("message.max.bytes", 1)]),
    Definition::new(
        "message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        AT_LEAST_0,
        "How far a record's timestamp may lie in the future of the broker's clock, in milliseconds, with CreateTime.",
    )
    .synonyms(&[("log.message.timestamp.after.max.ms", 1)]),
    Definition::new(
        "message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        AT_LEAST_0,
        "How far a record's timestamp may lie in the past of the broker's clock, in milliseconds, with CreateTime.",
    )
    .synonyms(&[("log.message.timestamp.before.max.ms", 1)]),
    Definition::new(
        "message.timestamp.type",
        Kind::String,
        "CreateTime",
        TIMESTAMP_TYPE,
        "Whose timestamps records carry: the producer's (CreateTime) or the broker's at append (LogAppendTime).",
    )
    .synonyms(&[("log.message.timestamp.type", 1)]),
    Definition::new(
        "min.cleanable.dirty.ratio",
        Kind::Double,
        "0.5",
        Check::Ratio,
        "Which part of a compacted log must be new before it is cleaned: less saves space, more saves work.",
    )
    .synonyms(&[("log.cleaner.min.cleanable.ratio", 1)]),
    Definition::new(
        "min.compaction.lag.ms",
        Kind::Long,
        "0",
        AT_LEAST_0,
        "How old a record of a compacted topic is at least when it is cleaned, in milliseconds.",
    )
    .synonyms(&[("log.cleaner.min.compaction.lag.ms", 1)]),
    Definition::new(
        "min.insync.replicas",
        Kind::Int,
        "1",
        INT_AT_LEAST_1,
        "How many replicas must hold a record before it is acknowledged to a producer with acks=all.",
    )
    .synonyms(&[("min.insync.replicas", 1)]),
    Definition::new(
        "retention.bytes",
        Kind::Long,
        "-1",
        OR_UNLIMITED,
        "How many bytes a partition keeps: beyond that its oldest segments are deleted; -1 keeps all.",
    )
    .synonyms(&[("log.retention.bytes", 1)]),
    Definition::new(
        "retention.ms",
        Kind::Long,
        "604800000",
        OR_UNLIMITED,
        "How long records are kept, in milliseconds: a segment is deleted once its newest record is older; -1 keeps all.",
    )
    .synonyms(&[
        ("log.retention.ms", 1),
        ("log.retention.minutes", MINUTE_MS),
        ("log.retention.hours", HOUR_MS),
    ]),
    Definition::new(
        "segment.bytes",
        Kind::Int,
        "1073741824",
        SEGMENT_BYTES,
        "The largest size of a segment, in bytes; a log is deleted segment by segment. A segment is at most 64 MiB even if more is \
         allowed here, because its file is written before it is needed.",
    )
    .synonyms(&[("log.segment.bytes", 1)]),
    Definition::new(
        "segment.ms",
        Kind::Long,
        "604800000",
        AT_LEAST_1,
        "After how long a new segment is begun even if the last one is not full, in milliseconds.",
    )
    .synonyms(&[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)]),
    Definition::new(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        CLEAN_ONLY,
        "Whether a replica that misses acknowledged records may become leader; here it never may.",
    )
    .synonyms(&[("unclean.leader.election.enable", 1)]),
];

const TIERED: &str = "it has no tiered storage";
const REPLICATION: &str = "this version of the broker does not replicate";
const OLD_FORMATS: &str = "only record batches of magic 2 are stored and sent";

/// Configurations that Kafka has and this broker does not honour, in name order, with the reason.
static NOT_SUPPORTED: &[(&str, &str)] = &[
    ("follower.replication.throttled.replicas", REPLICATION),
    ("leader.replication.throttled.replicas", REPLICATION),
    ("local.retention.bytes", TIERED),
    ("local.retention.ms", TIERED),
    ("message.downconversion.enable", OLD_FORMATS),
    ("message.format.version", OLD_FORMATS),
    (
        "message.timestamp.difference.max.ms",
        "use message.timestamp.before.max.ms and message.timestamp.after.max.ms",
    ),
    ("preallocate", "segments are always written in advance"),
    ("remote.log.copy.disable", TIERED),
    ("remote.log.delete.on.disable", TIERED),
    ("remote.storage.enable", TIERED),
    ("segment.index.bytes", "indexes grow with their segment"),
    (
        "segment.jitter.ms",
        "segments are rolled off the path of producers, so rolling many at once does no harm",
    ),
];

/// The definition of a topic configuration.
///
/// # Errors
/// If there is none that this broker honours.
pub(super) fn definition(name: &str) -> Result<&'static Definition, ConfigError> {
    if let Some(definition) = find(TABLE, name) {
        return Ok(definition);
    }
    let name = name.to_owned();
    match NOT_SUPPORTED.binary_search_by(|(other, _)| other.cmp(&&name[..])) {
        Ok(index) => Err(ConfigError::NotSupported {
            level: "topic",
            name,
            why: NOT_SUPPORTED[index].1,
        }),
        Err(_) => Err(ConfigError::Unknown { level: "topic", name }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::broker;
    use super::*;

    #[test]
    fn tables_are_in_name_order() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        assert!(NOT_SUPPORTED.is_sorted_by(|a, b| a.0 < b.0));
        assert!(NOT_SUPPORTED.iter().all(|(name, _)| find(TABLE, name).is_none()));
    }

    #[test]
    fn defaults_are_legal_and_the_same_on_both_levels() {
        for topic in TABLE {
            let default = topic.default.expect("topic configurations have defaults");
            topic.check(default).unwrap();
            let nearest = broker::definition(topic.synonyms[0].0).unwrap();
            assert_eq!(nearest.default, topic.default, "{}", topic.name);
            assert_eq!(
                (nearest.check, nearest.kind),
                (topic.check, topic.kind),
                "{}",
                topic.name
            );
            assert_eq!(nearest.synonyms, &topic.synonyms[1..], "{}", topic.name);
            assert!(topic.documentation.ends_with('.'), "{}", topic.name);
        }
    }

    #[test]
    fn refusals_tell_unknown_from_not_supported() {
        let message = |name: &str| definition(name).unwrap_err().to_string();
        assert_eq!(
            message("retention"),
            "there is no topic configuration named 'retention'"
        );
        assert_eq!(
            message("remote.storage.enable"),
            "the topic configuration 'remote.storage.enable' is not supported by this broker: it has no tiered storage"
        );
        let log_compaction = definition("cleanup.policy")
            .unwrap()
            .check("squeeze")
            .unwrap_err()
            .to_string();
        assert!(
            log_compaction.contains("'squeeze'") && log_compaction.contains("compact, delete"),
            "{log_compaction}"
        );
    }
}
