//! Static members that come back (KIP-345, KIP-814).

use std::sync::Arc;

use tautline_core::error::ErrorCode;

use super::{ClassicGroup, State};
use crate::coordinator::Token;
use crate::groups::request::JoinGroup;
use crate::groups::response::{GroupResponse, Joined, Synced};
use crate::groups::turn::Turn;

impl ClassicGroup {
    /// A client with the instance id of a member, but without its member id, takes the member's place. While the group is
    /// Stable and its protocol stays the same, that moves nothing.
    pub(super) fn replace_static(
        &mut self,
        turn: &mut Turn<'_>,
        token: Token,
        request: &JoinGroup,
        old_id: &str,
    ) {
        let leader_before = self.leader.clone();
        let new_id: Arc<str> = request.fresh_member_id.as_str().into();
        self.rename(turn, old_id, &new_id);
        self.change(&new_id, request);
        self.restart_session(turn, &new_id);
        let keeps_protocol = self.state == State::Stable && self.select_protocol() == self.protocol;
        if !keeps_protocol {
            self.await_join(turn, &new_id, token);
            return self.rebalance(turn);
        }
        let record = self.record();
        turn.append(vec![record]);
        let is_leader = self.is_leader(&new_id);
        let mut joined = self.joined(&new_id, is_leader && request.supports_skipping_assignment);
        if request.supports_skipping_assignment {
            joined.skip_assignment = is_leader;
        } else if let Some(leader) = leader_before {
            // A leader that can't be told not to assign is not told that it leads.
            joined.leader = leader;
        }
        turn.reply(token, GroupResponse::JoinGroup(joined));
    }

    /// Gives a static member another id. Who still waits as the old one is fenced.
    fn rename(&mut self, turn: &mut Turn<'_>, old_id: &str, new_id: &Arc<str>) {
        self.answer_join(turn, old_id, Joined::refused(ErrorCode::FencedInstanceId, old_id));
        self.answer_sync(turn, old_id, Synced::refused(ErrorCode::FencedInstanceId));
        self.note_synced(old_id);
        self.cancel_session(turn, old_id);
        let Some(mut member) = self.take(old_id) else {
            return;
        };
        member.is_new = false;
        if self.is_leader(old_id) {
            self.leader = Some(Arc::clone(new_id));
        }
        self.add(new_id, member);
    }
}
