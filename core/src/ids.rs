//! The identifiers of the field as types of their own, so that an offset is never a length and an epoch never an index.
//!
//! Plain `Copy` values without behaviour, used on every core. The inner number is public: it is what travels on the wire.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id! {
    /// Position of a record in its partition's log, counted from 0. Where it bounds a range it is exclusive.
    Offset(i64)
}
id! {
    /// Term of a partition's leadership: grows with every new leader, -1 where it is not known.
    LeaderEpoch(i32)
}
id! {
    /// Number of a partition within its topic, counted from 0.
    PartitionIndex(i32)
}
id! {
    /// Id of an idempotent or transactional producer, -1 where there is none (KIP-98).
    ProducerId(i64)
}
id! {
    /// Generation of a producer id: a higher one fences the lower ones (KIP-98).
    ProducerEpoch(i16)
}
id! {
    /// A broker as clients see it in metadata.
    NodeId(i32)
}
id! {
    /// One shard (one pinned core) of this process, counted from 0. Never leaves the process.
    ShardId(u16)
}

impl Offset {
    /// The offset after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::ops::Add<i64> for Offset {
    type Output = Self;

    fn add(self, records: i64) -> Self {
        Self(self.0 + records)
    }
}

impl std::ops::Sub for Offset {
    type Output = i64;

    /// Number of offsets between the two.
    fn sub(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl LeaderEpoch {
    /// "Not known" on the wire.
    pub const NONE: Self = Self(-1);
}

impl ProducerId {
    /// "No producer id": a batch that is not idempotent.
    pub const NONE: Self = Self(-1);
}

impl ProducerEpoch {
    /// "No producer epoch": a batch that is not idempotent.
    pub const NONE: Self = Self(-1);
}

/// Identity of a topic that survives deletion and re-creation under the same name (KIP-516).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(transparent)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// "No id" on the wire.
    pub const ZERO: Self = Self(Uuid::nil());
}

/// Kafka's form of a UUID: URL-safe base64 without padding, 22 characters.
impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let value = self.0.as_u128();
        let mut text = [0u8; 22];
        for (position, character) in text.iter_mut().enumerate() {
            // 22 * 6 = 132 bits: the last character carries the lowest 2 bits, shifted up by 4.
            let shift = 122 - 6 * position as i32;
            let bits = if shift >= 0 {
                value >> shift
            } else {
                value << -shift
            };
            *character = ALPHABET[(bits & 63) as usize];
        }
        f.pad(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_id_prints_as_kafka_does() {
        // Base64 of the 16 bytes, as Kafka's Uuid.toString gives: ZERO_UUID and METADATA_TOPIC_ID (0, 1).
        assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(TopicId(Uuid::from_u128(1)).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(
            TopicId(Uuid::from_u128(u128::MAX)).to_string(),
            "_____________________w"
        );
    }

    #[test]
    fn offsets_count() {
        assert_eq!(Offset(4).next(), Offset(5));
        assert_eq!(Offset(4) + 3, Offset(7));
        assert_eq!(Offset(7) - Offset(4), 3);
    }
}
