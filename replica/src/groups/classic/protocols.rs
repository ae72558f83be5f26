//! Which protocol the members of a group agree on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::{ClassicGroup, Member, State};
use crate::groups::limits::SUBSCRIBED_MAX;
use crate::records::{Read, RecordError, RecordReader};

/// How many members support each protocol.
#[derive(Debug, Default)]
pub(super) struct Votes(BTreeMap<Arc<str>, usize>);

impl Votes {
    pub fn add(&mut self, member: &Member) {
        for name in names(member) {
            *self.0.entry(Arc::clone(name)).or_default() += 1;
        }
    }

    pub fn remove(&mut self, member: &Member) {
        for name in names(member) {
            if let Some(count) = self.0.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(name);
                }
            }
        }
    }

    fn of(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// The protocols of a member, each once whatever it sent.
fn names(member: &Member) -> BTreeSet<&Arc<str>> {
    member.protocols.iter().map(|(name, _)| name).collect()
}

impl ClassicGroup {
    /// Whether a member with these protocols fits the group.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[(String, Bytes)]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols
                .iter()
                .any(|(name, _)| self.votes.of(name) == self.members.len())
    }

    /// The protocol that most members like best, of those that all support; the group has members. None where they have no
    /// protocol in common.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|(name, _)| name);
            let best = names.find(|name| self.votes.of(name) == self.members.len())?;
            *votes.entry(best).or_default() += 1;
        }
        let best = votes.into_iter().max_by_key(|(_, count)| *count)?;
        Some(Arc::clone(best.0))
    }

    /// What the members subscribe to, where they are consumers.
    pub(super) fn find_subscribed(&self) -> Option<BTreeSet<String>> {
        if !self.is_of_consumers() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_ref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            // Metadata that can't be read leaves it unknown what the group subscribes to.
            add_subscription(&mut topics, &member.metadata(protocol)).ok()?;
            if topics.len() > SUBSCRIBED_MAX {
                return None;
            }
        }
        Some(topics)
    }
}

/// Adds the topics of a consumer's metadata, which all versions of ConsumerProtocolSubscription begin with, until there are too
/// many.
fn add_subscription(topics: &mut BTreeSet<String>, metadata: &[u8]) -> Read<()> {
    let mut reader = RecordReader::new(metadata);
    match reader.i16()? {
        version if version < 0 => return Err(RecordError::Version(version)),
        _ => {}
    }
    reader.array(|reader| {
        let name = reader.str()?;
        if topics.len() <= SUBSCRIBED_MAX && !topics.contains(name) {
            topics.insert(name.to_owned());
        }
        Ok(())
    })?;
    Ok(())
}
