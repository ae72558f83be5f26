//! The last offset of each key, in memory of a fixed size: open addressing over 128-bit hashes, 24 bytes a key.
//!
//! The hash is SipHash with a secret of this map, twice: nobody outside can choose keys that collide, and two of a thousand million
//! keys do with a probability of 10^-21. Keys themselves are not kept. For helper threads.

use std::hash::{BuildHasher, Hasher, RandomState};

use tautline_core::buffer::Buffer;
use tautline_core::ids::Offset;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Memory of one key.
pub(super) const ENTRY_BYTES: usize = size_of::<Entry>();

/// Keys in so many quarters of the places, so that a look-up takes few steps.
const LOAD_QUARTERS: usize = 3;

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Entry {
    hash: [u64; 2],
    /// One more than the offset, 0 for a free place.
    offset_after: u64,
}

/// A key, as the map knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyHash([u64; 2]);

/// See the module.
pub(super) struct OffsetMap {
    memory: Buffer,
    places: usize,
    keys: usize,
    keys_max: usize,
    secret: RandomState,
}

impl OffsetMap {
    /// Memory for a map of `keys`.
    pub fn bytes_for(keys: u64) -> u64 {
        (keys.saturating_mul(4) / LOAD_QUARTERS as u64 + 2).saturating_mul(ENTRY_BYTES as u64)
    }

    /// An empty map.
    ///
    /// # Panics
    /// If the memory does not hold two entries.
    pub fn new(mut memory: Buffer) -> OffsetMap {
        let places = memory.len() / ENTRY_BYTES;
        assert!(places >= 2, "a map has room for a key and a free place");
        memory[..places * ENTRY_BYTES].fill(0);
        OffsetMap {
            memory,
            places,
            keys: 0,
            keys_max: (places * LOAD_QUARTERS / 4).max(1),
            secret: RandomState::new(),
        }
    }

    #[inline]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        let mut hasher = self.secret.build_hasher();
        hasher.write(key);
        let first = hasher.finish();
        hasher.write_u8(0xff);
        KeyHash([first, hasher.finish()])
    }

    /// The last offset of a key.
    #[inline]
    pub fn get(&self, key: KeyHash) -> Option<Offset> {
        let entries = self.entries();
        let mut at = self.place(key);
        loop {
            let entry = &entries[at];
            if entry.offset_after == 0 {
                return None;
            }
            if entry.hash == key.0 {
                return Some(Offset(entry.offset_after as i64 - 1));
            }
            at = if at + 1 == self.places { 0 } else { at + 1 };
        }
    }

    /// Notes a key's record; false if the key is new and the map is full.
    #[inline]
    pub fn put(&mut self, key: KeyHash, offset: Offset) -> bool {
        debug_assert!(offset.0 >= 0);
        let (places, is_full, mut at) = (self.places, self.keys == self.keys_max, self.place(key));
        let entries = self.entries_mut();
        loop {
            let entry = &mut entries[at];
            if entry.offset_after == 0 {
                if is_full {
                    return false;
                }
                *entry = Entry {
                    hash: key.0,
                    offset_after: offset.0 as u64 + 1,
                };
                self.keys += 1;
                return true;
            }
            if entry.hash == key.0 {
                entry.offset_after = offset.0 as u64 + 1;
                return true;
            }
            at = if at + 1 == places { 0 } else { at + 1 };
        }
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.keys
    }

    #[inline]
    fn place(&self, key: KeyHash) -> usize {
        ((u128::from(key.0[1]) * self.places as u128) >> 64) as usize
    }

    #[inline]
    fn entries(&self) -> &[Entry] {
        <[Entry]>::ref_from_bytes(&self.memory[..self.places * ENTRY_BYTES])
            .expect("buffers are aligned, and the range is a number of entries")
    }

    #[inline]
    fn entries_mut(&mut self) -> &mut [Entry] {
        <[Entry]>::mut_from_bytes(&mut self.memory[..self.places * ENTRY_BYTES])
            .expect("buffers are aligned, and the range is a number of entries")
    }
}

const _: () = assert!(ENTRY_BYTES == 24);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tautline_core::buffer::Pool;

    use super::*;

    #[test]
    fn it_is_a_map_up_to_its_bound() {
        let mut map = OffsetMap::new(Pool::new(1 << 20).take(4096).unwrap());
        let mut model = HashMap::new();
        let mut refused = 0;
        for n in 0..1_000u64 {
            // A key again and again, among new ones.
            let key = (n * n % 331).to_le_bytes();
            let hash = map.hash(&key);
            if map.put(hash, Offset(n as i64)) {
                model.insert(key, n as i64);
            } else {
                assert!(!model.contains_key(&key));
                refused += 1;
            }
        }
        assert_eq!((map.len(), model.len()), (4096 / 24 * 3 / 4, map.len()));
        assert!(refused > 0);
        for n in 0..331u64 {
            let key = n.to_le_bytes();
            let found = map.get(map.hash(&key)).map(|offset| offset.0);
            assert_eq!(found, model.get(&key).copied());
        }
    }

    #[test]
    fn a_key_and_its_extensions_are_different() {
        let map = OffsetMap::new(Pool::new(1 << 20).take(4096).unwrap());
        let hashes: Vec<_> = [&b""[..], b"\xff", b"\xff\xff", b"a", b"a\xff"]
            .map(|key| map.hash(key))
            .into();
        for (n, hash) in hashes.iter().enumerate() {
            assert!(hashes[..n].iter().all(|other| other != hash));
        }
        assert_eq!(map.hash(b"a"), map.hash(b"a"));
        assert!(OffsetMap::bytes_for(1_000) >= 1_000 * 24 * 4 / 3);
    }
}
