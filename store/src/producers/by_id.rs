//! The producers of a log by their ids, in parts that a snapshot shares until they change.
//!
//! A checkpoint describes thousands of producers as they are at one moment, and the log's core has no time to copy them: a
//! snapshot costs it a count a part, and afterwards the first change of a part copies that part alone.

use std::collections::hash_map;
use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tautline_core::ids::ProducerId;

use super::Producer;
use crate::limits::PRODUCERS_MAX;

/// Into how many parts producers fall.
const PARTS: usize = 64;

type Part = FxHashMap<ProducerId, Producer>;

/// See the module. On the wire it is a plain map.
#[derive(Clone, Debug, Default)]
pub(crate) struct ById {
    /// None at all, or [`PARTS`].
    parts: Box<[Option<Arc<Part>>]>,
    len: usize,
}

fn part_of(id: ProducerId) -> usize {
    // Ids are given out in a row.
    id.0 as usize % PARTS
}

impl ById {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn get(&self, id: ProducerId) -> Option<&Producer> {
        self.parts.get(part_of(id))?.as_ref()?.get(&id)
    }

    pub fn contains(&self, id: ProducerId) -> bool {
        self.get(id).is_some()
    }

    /// The producer to be changed, a new one if it is not known.
    pub fn get_or_insert_with(&mut self, id: ProducerId, new: impl FnOnce() -> Producer) -> &mut Producer {
        if self.parts.is_empty() {
            self.parts = vec![None; PARTS].into();
        }
        let part = self.parts[part_of(id)].get_or_insert_default();
        match Arc::make_mut(part).entry(id) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(unknown) => {
                self.len += 1;
                unknown.insert(new())
            }
        }
    }

    fn add(mut self, (id, producer): (ProducerId, Producer)) -> ById {
        let mut given = Some(producer);
        let place = self.get_or_insert_with(id, || given.take().expect("called once"));
        if let Some(producer) = given {
            *place = producer;
        }
        self
    }

    /// Forgets those that `stays` does not name. Parts of which all stay are not touched.
    pub fn retain(&mut self, mut stays: impl FnMut(&Producer) -> bool) {
        for part in self.parts.iter_mut().flatten() {
            let gone: Vec<ProducerId> = part
                .iter()
                .filter(|(_, producer)| !stays(producer))
                .map(|(&id, _)| id)
                .collect();
            if !gone.is_empty() {
                let part = Arc::make_mut(part);
                self.len -= gone.len();
                for id in gone {
                    part.remove(&id);
                }
                part.shrink_to_fit();
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &Producer)> {
        let parts = self.parts.iter().flatten();
        parts.flat_map(|part| part.iter().map(|(&id, producer)| (id, producer)))
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &ById) -> bool {
        self.len == other.len && self.iter().all(|(id, producer)| other.get(id) == Some(producer))
    }
}

impl Eq for ById {}

impl FromIterator<(ProducerId, Producer)> for ById {
    fn from_iter<I: IntoIterator<Item = (ProducerId, Producer)>>(producers: I) -> ById {
        producers.into_iter().fold(ById::default(), ById::add)
    }
}

impl Serialize for ById {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(self.len))?;
        for (id, producer) in self.iter() {
            map.serialize_entry(&id, producer)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for ById {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ById, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = ById;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("producers by their ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ById, A::Error> {
        let mut by_id = ById::default();
        while let Some(entry) = map.next_entry()? {
            by_id = by_id.add(entry);
        }
        Ok(by_id)
    }
}

const _: () = assert!(PRODUCERS_MAX / PARTS <= 256, "a part is copied at once");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tautline_core::ids::ProducerEpoch;

    fn producer(epoch: i16) -> Producer {
        Producer::new(ProducerEpoch(epoch), i64::from(epoch))
    }

    proptest! {
        /// Against a plain map; snapshots stay as they were, and are written as a plain map is.
        #[test]
        fn it_is_a_map_whose_snapshots_do_not_change(steps: Vec<(u8, i16, u8)>) {
            let (mut by_id, mut model) = (ById::default(), FxHashMap::default());
            let (mut snapshot, mut old) = (by_id.clone(), model.clone());
            for (id, epoch, act) in steps {
                let id = ProducerId(i64::from(id) * 16);
                match act % 8 {
                    0 => {
                        by_id.retain(|known| known.epoch.0 < epoch);
                        model.retain(|_, known: &mut Producer| known.epoch.0 < epoch);
                    }
                    1 => (snapshot, old) = (by_id.clone(), model.clone()),
                    _ => {
                        by_id.get_or_insert_with(id, || producer(epoch)).used_ms += 1;
                        model.entry(id).or_insert_with(|| producer(epoch)).used_ms += 1;
                    }
                }
                prop_assert_eq!(by_id.len(), model.len());
                prop_assert_eq!(by_id.get(id), model.get(&id));
            }
            for (by_id, model) in [(by_id, model), (snapshot, old)] {
                prop_assert_eq!(by_id.iter().count(), model.len());
                prop_assert!(by_id.iter().all(|(id, producer)| model.get(&id) == Some(producer)));
                let bytes = postcard::to_stdvec(&by_id).unwrap();
                prop_assert_eq!(&postcard::from_bytes::<FxHashMap<ProducerId, Producer>>(&bytes).unwrap(), &model);
                let bytes = postcard::to_stdvec(&model).unwrap();
                prop_assert_eq!(postcard::from_bytes::<ById>(&bytes).unwrap(), by_id);
            }
        }
    }
}
