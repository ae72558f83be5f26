//! The broker configurations this broker honours. Those that a flag of its own sets are here to be described.

use super::definition::{Check, ConfigError, Definition, Kind, find};
use super::topic::{
    AT_LEAST_0, AT_LEAST_1, CLEAN_ONLY, CLEANUP_POLICY, HOUR_MS, INT_AT_LEAST_0, INT_AT_LEAST_1, MINUTE_MS,
    OR_UNLIMITED, PRODUCER_ONLY, SEGMENT_BYTES, TIMESTAMP_TYPE,
};

const INT_OR_UNLIMITED: Check = Check::Integer {
    min: -1,
    max: i32::MAX as i64,
};
const ONE_REPLICA: Check = Check::Only {
    value: "1",
    why: "this version of the broker does not replicate",
};
/// A request can't be smaller than its header, nor larger than its length field says.
const REQUEST_BYTES: Check = Check::Integer {
    min: 1 << 16,
    max: i32::MAX as i64,
};
/// Less would be used up by a few keys.
const DEDUPE_BUFFER_BYTES: Check = Check::Integer {
    min: 1 << 20,
    max: i64::MAX,
};
/// Those of Kafka.
const ASSIGNORS: Check = Check::SomeOf(&["uniform", "range"]);
const MIGRATION_POLICIES: Check = Check::OneOf(&["bidirectional", "upgrade", "downgrade", "disabled"]);
/// More often would keep the coordinators busy.
const REGEX_REFRESH_MS: Check = Check::Integer {
    min: 10_000,
    max: i32::MAX as i64,
};
/// A fetch of less would answer a small batch at a time.
const FETCH_BYTES: Check = Check::Integer {
    min: 1 << 10,
    max: i32::MAX as i64,
};

/// In name order.
pub(super) static TABLE: &[Definition] = &[
    Definition::new(
        "add.partitions.to.txn.retry.backoff.max.ms",
        Kind::Int,
        "100",
        INT_AT_LEAST_0,
        "How long a request may wait for the producer's last transaction to be complete, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "advertised.listeners",
        Kind::String,
        "",
        Check::Any,
        "The address that clients are told to connect to.",
    )
    .without_default()
    .by_flag("--advertise-address"),
    Definition::new(
        "auto.create.topics.enable",
        Kind::Boolean,
        "true",
        Check::Flag,
        "Whether a topic is created when a client asks for its metadata and allows it.",
    )
    .read_only(),
    Definition::new(
        "broker.id",
        Kind::Int,
        "",
        Check::Any,
        "The id of this broker in the cluster.",
    )
    .without_default()
    .by_flag("the data directory"),
    Definition::new(
        "compression.type",
        Kind::String,
        "producer",
        PRODUCER_ONLY,
        "compression.type of topics that do not set it.",
    ),
    Definition::new(
        "connections.max.idle.ms",
        Kind::Long,
        "600000",
        OR_UNLIMITED,
        "After how long without a request a connection is closed, in milliseconds; -1 for never.",
    )
    .read_only(),
    Definition::new(
        "default.replication.factor",
        Kind::Int,
        "1",
        ONE_REPLICA,
        "Replicas of each partition of a topic whose creator does not say.",
    )
    .read_only(),
    Definition::new(
        "delete.topic.enable",
        Kind::Boolean,
        "true",
        Check::Flag,
        "Whether clients may delete topics.",
    )
    .read_only(),
    Definition::new(
        "fetch.max.bytes",
        Kind::Int,
        "57671680",
        FETCH_BYTES,
        "The most bytes of records in the answer to a fetch, whatever the client allows, in bytes.",
    )
    .read_only(),
    Definition::new(
        "group.consumer.assignors",
        Kind::List,
        "uniform,range",
        ASSIGNORS,
        "The assignors of consumer groups on the broker (KIP-848), the default one first.",
    )
    .read_only(),
    Definition::new(
        "group.consumer.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        INT_AT_LEAST_1,
        "How often the members of a consumer group send heartbeats (KIP-848), in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "group.consumer.max.heartbeat.interval.ms",
        Kind::Int,
        "15000",
        INT_AT_LEAST_1,
        "The longest heartbeat interval that a consumer group may be configured to have (KIP-848), in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "group.consumer.max.session.timeout.ms",
        Kind::Int,
        "60000",
        INT_AT_LEAST_1,
        "The longest session timeout that a consumer group may be configured to have (KIP-848), in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "group.consumer.max.size",
        Kind::Int,
        "2147483647",
        INT_AT_LEAST_1,
        "The most members of a consumer group (KIP-848).",
    )
    .read_only(),
    Definition::new(
        "group.consumer.migration.policy",
        Kind::String,
        "bidirectional",
        MIGRATION_POLICIES,
        "Which way a group may change between the classic and the consumer protocol while it has members (KIP-848).",
    )
    .read_only(),
    Definition::new(
        "group.consumer.min.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        INT_AT_LEAST_1,
        "The shortest heartbeat interval that a consumer group may be configured to have (KIP-848), in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "group.consumer.min.session.timeout.ms",
        Kind::Int,
        "45000",
        INT_AT_LEAST_1,
        "The shortest session timeout that a consumer group may be configured to have (KIP-848), in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "group.consumer.regex.refresh.interval.ms",
        Kind::Int,
        "600000",
        REGEX_REFRESH_MS,
        "How often the topics that match the regular expression of a consumer group are looked up, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "group.consumer.session.timeout.ms",
        Kind::Int,
        "45000",
        INT_AT_LEAST_1,
        "After how long without a heartbeat a member leaves its consumer group (KIP-848), in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "group.initial.rebalance.delay.ms",
        Kind::Int,
        "3000",
        INT_AT_LEAST_0,
        "How long the first rebalance of a group waits for more members, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "group.max.session.timeout.ms",
        Kind::Int,
        "1800000",
        INT_AT_LEAST_1,
        "The longest session timeout that a member of a classic group may ask for, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "group.max.size",
        Kind::Int,
        "2147483647",
        INT_AT_LEAST_1,
        "The most members of a classic group.",
    )
    .read_only(),
    Definition::new(
        "group.min.session.timeout.ms",
        Kind::Int,
        "6000",
        INT_AT_LEAST_1,
        "The shortest session timeout that a member of a classic group may ask for, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "listeners",
        Kind::List,
        "",
        Check::Any,
        "The address the broker listens on.",
    )
    .without_default()
    .by_flag("--listen"),
    Definition::new(
        "log.cleaner.backoff.ms",
        Kind::Long,
        "15000",
        AT_LEAST_0,
        "How long the cleaner of compacted logs rests when there is none to clean, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "log.cleaner.dedupe.buffer.size",
        Kind::Long,
        "134217728",
        DEDUPE_BUFFER_BYTES,
        "The memory for the keys of the logs that are being cleaned, of all log.cleaner.threads together, in bytes: 24 a key. \
         It is part of --memory, and a log with more keys is cleaned in several passes.",
    )
    .read_only(),
    Definition::new(
        "log.cleaner.delete.retention.ms",
        Kind::Long,
        "86400000",
        AT_LEAST_0,
        "delete.retention.ms of topics that do not set it.",
    ),
    Definition::new(
        "log.cleaner.enable",
        Kind::Boolean,
        "true",
        Check::Flag,
        "Whether compacted logs are cleaned; without it they grow for ever.",
    )
    .read_only(),
    Definition::new(
        "log.cleaner.io.max.bytes.per.second",
        Kind::Double,
        "1.7976931348623157E308",
        Check::Positive,
        "How many bytes the cleaner of compacted logs reads and writes in a second on average.",
    )
    .read_only(),
    Definition::new(
        "log.cleaner.max.compaction.lag.ms",
        Kind::Long,
        "9223372036854775807",
        AT_LEAST_1,
        "max.compaction.lag.ms of topics that do not set it.",
    ),
    Definition::new(
        "log.cleaner.min.cleanable.ratio",
        Kind::Double,
        "0.5",
        Check::Ratio,
        "min.cleanable.dirty.ratio of topics that do not set it.",
    ),
    Definition::new(
        "log.cleaner.min.compaction.lag.ms",
        Kind::Long,
        "0",
        AT_LEAST_0,
        "min.compaction.lag.ms of topics that do not set it.",
    ),
    Definition::new(
        "log.cleaner.threads",
        Kind::Int,
        "1",
        INT_AT_LEAST_1,
        "How many logs are cleaned at a time.",
    )
    .read_only(),
    Definition::new(
        "log.cleanup.policy",
        Kind::List,
        "delete",
        CLEANUP_POLICY,
        "cleanup.policy of topics that do not set it.",
    ),
    Definition::new(
        "log.dirs",
        Kind::List,
        "",
        Check::Any,
        "The directory that holds all data.",
    )
    .without_default()
    .by_flag("--data-dir"),
    Definition::new(
        "log.flush.interval.messages",
        Kind::Long,
        "1",
        AT_LEAST_1,
        "flush.messages of topics that do not set it.",
    ),
    Definition::new(
        "log.flush.interval.ms",
        Kind::Long,
        "9223372036854775807",
        AT_LEAST_0,
        "flush.ms of topics that do not set it.",
    ),
    Definition::new(
        "log.index.interval.bytes",
        Kind::Int,
        "4096",
        INT_AT_LEAST_0,
        "index.interval.bytes of topics that do not set it.",
    ),
    Definition::new(
        "log.message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        AT_LEAST_0,
        "message.timestamp.after.max.ms of topics that do not set it.",
    ),
    Definition::new(
        "log.message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        AT_LEAST_0,
        "message.timestamp.before.max.ms of topics that do not set it.",
    ),
    Definition::new(
        "log.message.timestamp.type",
        Kind::String,
        "CreateTime",
        TIMESTAMP_TYPE,
        "message.timestamp.type of topics that do not set it.",
    ),
    Definition::new(
        "log.retention.bytes",
        Kind::Long,
        "-1",
        OR_UNLIMITED,
        "retention.bytes of topics that do not set it.",
    ),
    Definition::new(
        "log.retention.check.interval.ms",
        Kind::Long,
        "300000",
        AT_LEAST_1,
        "How often the broker looks for segments to delete, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "log.retention.hours",
        Kind::Int,
        "168",
        INT_OR_UNLIMITED,
        "log.retention.ms in hours, where neither that nor log.retention.minutes is set.",
    )
    .read_only(),
    Definition::new(
        "log.retention.minutes",
        Kind::Int,
        "",
        INT_OR_UNLIMITED,
        "log.retention.ms in minutes, where that is not set.",
    )
    .without_default()
    .read_only(),
    Definition::new(
        "log.retention.ms",
        Kind::Long,
        "604800000",
        OR_UNLIMITED,
        "retention.ms of topics that do not set it.",
    )
    .synonyms(&[
        ("log.retention.minutes", MINUTE_MS),
        ("log.retention.hours", HOUR_MS),
    ]),
    Definition::new(
        "log.roll.hours",
        Kind::Int,
        "168",
        INT_AT_LEAST_1,
        "log.roll.ms in hours, where that is not set.",
    )
    .read_only(),
    Definition::new(
        "log.roll.ms",
        Kind::Long,
        "604800000",
        AT_LEAST_1,
        "segment.ms of topics that do not set it.",
    )
    .synonyms(&[("log.roll.hours", HOUR_MS)]),
    Definition::new(
        "log.segment.bytes",
        Kind::Int,
        "1073741824",
        SEGMENT_BYTES,
        "segment.bytes of topics that do not set it.",
    ),
    Definition::new(
        "log.segment.delete.delay.ms",
        Kind::Long,
        "60000",
        AT_LEAST_0,
        "file.delete.delay.ms of topics that do not set it.",
    ),
    Definition::new(
        "max.connections",
        Kind::Int,
        "2147483647",
        INT_AT_LEAST_1,
        "The most connections the broker holds at a time; more are closed at once.",
    )
    .read_only(),
    Definition::new(
        "max.incremental.fetch.session.cache.slots",
        Kind::Int,
        "1000",
        INT_AT_LEAST_0,
        "The most fetch sessions the broker keeps; clients beyond that send full fetches (KIP-227).",
    )
    .read_only(),
    Definition::new(
        "message.max.bytes",
        Kind::Int,
        "1048588",
        INT_AT_LEAST_0,
        "max.message.bytes of topics that do not set it.",
    ),
    Definition::new(
        "min.insync.replicas",
        Kind::Int,
        "1",
        INT_AT_LEAST_1,
        "min.insync.replicas of topics that do not set it.",
    ),
    Definition::new(
        "node.id",
        Kind::Int,
        "",
        Check::Any,
        "The id of this broker in the cluster.",
    )
    .without_default()
    .by_flag("the data directory"),
    Definition::new(
        "num.partitions",
        Kind::Int,
        "1",
        INT_AT_LEAST_1,
        "Partitions of a topic whose creator does not say.",
    )
    .read_only(),
    Definition::new(
        "offset.metadata.max.bytes",
        Kind::Int,
        "4096",
        INT_AT_LEAST_0,
        "The most bytes that a client may keep with a committed offset.",
    )
    .read_only(),
    Definition::new(
        "offsets.retention.check.interval.ms",
        Kind::Long,
        "600000",
        AT_LEAST_1,
        "How often the broker looks for committed offsets to forget, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "offsets.retention.minutes",
        Kind::Int,
        "10080",
        INT_AT_LEAST_1,
        "How long the offsets of a group without members, or of topics it reads no more, are kept, in minutes.",
    )
    .read_only(),
    Definition::new(
        "offsets.topic.num.partitions",
        Kind::Int,
        "50",
        INT_AT_LEAST_1,
        "Partitions of __consumer_offsets; it counts when the topic is created.",
    )
    .read_only(),
    Definition::new(
        "offsets.topic.replication.factor",
        Kind::Short,
        "1",
        ONE_REPLICA,
        "Replicas of each partition of __consumer_offsets.",
    )
    .read_only(),
    Definition::new(
        "offsets.topic.segment.bytes",
        Kind::Int,
        "104857600",
        SEGMENT_BYTES,
        "segment.bytes of __consumer_offsets; it counts when the topic is created.",
    )
    .read_only(),
    Definition::new(
        "producer.id.expiration.ms",
        Kind::Int,
        "86400000",
        INT_AT_LEAST_1,
        "After how long without a batch a partition forgets a producer that has no open transaction, in milliseconds.",
    ),
    Definition::new(
        "socket.request.max.bytes",
        Kind::Int,
        "104857600",
        REQUEST_BYTES,
        "The largest request, in bytes; a connection that announces a larger one is closed.",
    )
    .read_only(),
    Definition::new(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        Kind::Int,
        "10000",
        INT_AT_LEAST_1,
        "How often the broker looks for transactions to abort because they took too long, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "transaction.max.timeout.ms",
        Kind::Int,
        "900000",
        INT_AT_LEAST_1,
        "The longest timeout of its transactions that a producer may ask for, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "transaction.partition.verification.enable",
        Kind::Boolean,
        "true",
        Check::Flag,
        "Whether a partition asks the coordinator before it takes the first record of a transaction of an older client.",
    ),
    Definition::new(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        Kind::Int,
        "3600000",
        INT_AT_LEAST_1,
        "How often the broker looks for transactional ids to forget, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "transaction.state.log.num.partitions",
        Kind::Int,
        "50",
        INT_AT_LEAST_1,
        "Partitions of __transaction_state; it counts when the topic is created.",
    )
    .read_only(),
    Definition::new(
        "transaction.state.log.replication.factor",
        Kind::Short,
        "1",
        ONE_REPLICA,
        "Replicas of each partition of __transaction_state.",
    )
    .read_only(),
    Definition::new(
        "transaction.state.log.segment.bytes",
        Kind::Int,
        "104857600",
        SEGMENT_BYTES,
        "segment.bytes of __transaction_state; it counts when the topic is created.",
    )
    .read_only(),
    Definition::new(
        "transactional.id.expiration.ms",
        Kind::Int,
        "604800000",
        INT_AT_LEAST_1,
        "After how long without a transaction a transactional id is forgotten, in milliseconds.",
    )
    .read_only(),
    Definition::new(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        CLEAN_ONLY,
        "unclean.leader.election.enable of topics that do not set it.",
    ),
];

/// The definition of a broker configuration.
///
/// # Errors
/// If there is none that this broker honours.
pub(super) fn definition(name: &str) -> Result<&'static Definition, ConfigError> {
    find(TABLE, name).ok_or_else(|| ConfigError::Unknown {
        level: "broker",
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_name_order_with_legal_defaults() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        for config in TABLE {
            if let Some(default) = config.default {
                config.check(default).unwrap();
            }
            assert!(config.documentation.ends_with('.'), "{}", config.name);
            for (synonym, _) in config.synonyms {
                assert!(definition(synonym).is_ok(), "{synonym}");
            }
        }
    }
}
