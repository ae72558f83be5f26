//! Keys of a load: a fixed set, each of which belongs to the partition that Kafka's clients would choose for it.

use crate::random::Random;

/// Bytes of a key: its number in hexadecimal.
pub const KEY_BYTES: usize = 16;

/// The keys whose partitions one broker leads.
#[derive(Debug)]
pub struct Keys {
    /// Each key and its partition.
    keys: Vec<(u64, i32)>,
    /// Keys by partition, for the further records of a batch.
    by_partition: Vec<Vec<u64>>,
}

impl Keys {
    /// Those of `count` keys that fall on `partitions`, of a topic with `partition_count`; None when there are none.
    pub fn of(count: u64, partitions: &[i32], partition_count: usize) -> Option<Keys> {
        let mut by_partition = vec![Vec::new(); partition_count];
        let mut keys = Vec::new();
        for key in 0..count {
            let partition = (murmur2(&text(key)) & 0x7fff_ffff) as usize % partition_count;
            if partitions.contains(&(partition as i32)) {
                keys.push((key, partition as i32));
                by_partition[partition].push(key);
            }
        }
        (!keys.is_empty()).then_some(Keys { keys, by_partition })
    }

    /// Any key, and its partition.
    pub fn any(&self, random: &mut Random) -> ([u8; KEY_BYTES], i32) {
        let (key, partition) = self.keys[random.below(self.keys.len() as u64) as usize];
        (text(key), partition)
    }

    /// Any key of a partition that has one.
    pub fn any_of(&self, partition: i32, random: &mut Random) -> [u8; KEY_BYTES] {
        let keys = &self.by_partition[partition as usize];
        text(keys[random.below(keys.len() as u64) as usize])
    }
}

fn text(key: u64) -> [u8; KEY_BYTES] {
    std::array::from_fn(|at| b"0123456789abcdef"[(key >> (60 - 4 * at)) as usize & 15])
}

/// MurmurHash2 with the seed of Kafka's default partitioner.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    for (at, &byte) in rest.iter().enumerate() {
        hash ^= u32::from(byte) << (8 * at);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes that Kafka's own UtilsTest.testMurmur2 expects.
    #[test]
    fn hashes_as_kafka_does() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn a_broker_gets_the_keys_of_its_partitions() {
        let (ours, others) = (
            Keys::of(1000, &[0, 2], 4).unwrap(),
            Keys::of(1000, &[1, 3], 4).unwrap(),
        );
        assert_eq!(ours.keys.len() + others.keys.len(), 1000);
        let mut random = Random(1);
        for _ in 0..100 {
            let (key, partition) = ours.any(&mut random);
            assert!([0, 2].contains(&partition));
            assert_eq!((murmur2(&key) & 0x7fff_ffff) as i32 % 4, partition);
            let key = ours.any_of(partition, &mut random);
            assert_eq!((murmur2(&key) & 0x7fff_ffff) as i32 % 4, partition);
        }
        assert!(Keys::of(0, &[0], 1).is_none());
    }
}
