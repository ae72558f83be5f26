//! A classic group that takes the place of a consumer group, or the other way round (KIP-848, "Online upgrade").

use std::sync::Arc;

use bytes::Bytes;

use tautline_core::error::ErrorCode;

use super::{CONSUMER, ClassicGroup, Member, State};
use crate::coordinator::CoordinatorRecord;
use crate::groups::response::{Joined, Synced};
use crate::groups::turn::Turn;
use crate::memory::CoordinatorMemory;

impl ClassicGroup {
    /// Its generation.
    pub(crate) const fn generation(&self) -> i32 {
        self.generation
    }

    /// Its members by their ids.
    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Member)> {
        self.members.iter()
    }

    /// A member's metadata for the chosen protocol, or for its best one while none is chosen.
    pub(crate) fn chosen_metadata(&self, member: &Member) -> Bytes {
        match (&self.protocol, member.protocols.first()) {
            (Some(protocol), _) => member.metadata(protocol),
            (None, best) => best.map_or_else(Bytes::new, |(_, metadata)| metadata.clone()),
        }
    }

    /// The group is no longer a classic one: who waits is told to join again.
    pub(crate) fn dissolve(&mut self, turn: &mut Turn<'_>) {
        for member_id in self.member_ids() {
            let rejoin = Joined::refused(ErrorCode::RebalanceInProgress, Arc::clone(&member_id));
            self.answer_join(turn, &member_id, rejoin);
            self.answer_sync(turn, &member_id, Synced::refused(ErrorCode::RebalanceInProgress));
        }
    }

    /// A group of consumers that have their assignments, given for a member and its metadata for the chosen protocol. Without a
    /// leader, if it `rebalances`: that is kept, so that it does after a restart too. None where the members have no protocol in
    /// common.
    pub(crate) fn of_consumers(
        memory: &CoordinatorMemory,
        id: Arc<str>,
        now_ms: i64,
        generation: i32,
        members: Vec<(Arc<str>, Member)>,
        rebalances: bool,
        assignment: impl Fn(&str, &[u8]) -> Bytes,
    ) -> Option<Self> {
        let mut group = Self::simple(memory, id, now_ms);
        group.generation = generation;
        group.protocol_type = Some(CONSUMER.into());
        for (member_id, member) in members {
            group.add(&member_id, member);
        }
        let protocol = group.select_protocol()?;
        group.assign_each(|member_id, member| assignment(member_id, &member.metadata(&protocol)));
        group.protocol = Some(protocol);
        if rebalances {
            group.leader = None;
        }
        group.note_subscribed();
        group.enter(State::Stable, now_ms);
        Some(group)
    }

    /// The record that it begins with.
    pub(crate) fn first_record(&self) -> CoordinatorRecord {
        self.record()
    }
}
