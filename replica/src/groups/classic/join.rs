//! JoinGroup.

use std::sync::Arc;

use bytes::Bytes;

use tautline_core::error::ErrorCode;

use super::{ClassicGroup, Member, State};
use crate::coordinator::Token;
use crate::groups::consumer;
use crate::groups::group::Group;
use crate::groups::limits::{
    GROUP_BYTES_MAX, GROUP_MEMORY_BYTES, GROUPS_MAX, MEMBER_MEMORY_BYTES, MEMBER_OVERHEAD_BYTES,
    NEW_MEMBER_JOIN_TIMEOUT_MS, PENDING_MEMBERS_MAX, PENDING_MEMORY_BYTES,
};
use crate::groups::request::JoinGroup;
use crate::groups::response::{GroupResponse, Joined};
use crate::groups::turn::{Groups, Turn};

/// Takes someone into a group, which is made if there is none.
pub(crate) fn join(groups: &mut Groups, turn: &mut Turn<'_>, token: Token, request: &JoinGroup) {
    if let Err(error) = validate(turn, request) {
        return refuse(turn, token, error, &request.member_id);
    }
    let is_full = groups.len() >= GROUPS_MAX || !turn.memory.has_room_for_newcomer(GROUP_MEMORY_BYTES);
    let mut records = Vec::new();
    match groups.get_mut(request.group_id.as_str()) {
        Some(Group::Classic(group)) => {
            group.join(turn, token, request);
            return;
        }
        Some(Group::Consumer(group)) if !group.is_empty() => {
            return consumer::classic_join(groups, turn, token, request);
        }
        _ if !request.member_id.is_empty() => {
            return refuse(turn, token, ErrorCode::UnknownMemberId, &request.member_id);
        }
        // An empty consumer group makes way.
        Some(Group::Consumer(group)) => group.append_tombstones(&request.group_id, &mut records),
        None if is_full => {
            return refuse(turn, token, ErrorCode::CoordinatorNotAvailable, "");
        }
        None => {}
    }
    let id: Arc<str> = request.group_id.as_str().into();
    turn.timers.cancel_group(&id);
    let mut group = ClassicGroup::simple(turn.memory, Arc::clone(&id), turn.now.ms);
    let record = group.record();
    if group.join(turn, token, request) {
        records.push(record);
        turn.append(records);
        groups.insert(id, Group::Classic(group));
    }
}

/// What is wrong with a request, whatever the group.
fn validate(turn: &Turn<'_>, request: &JoinGroup) -> Result<(), ErrorCode> {
    // Records have lengths of 16 bits.
    let fits = |text: &str| text.len() <= i16::MAX as usize;
    if request.group_id.is_empty() || !fits(&request.group_id) {
        return Err(ErrorCode::InvalidGroupId);
    }
    let sessions = turn.config.min_session_timeout_ms..=turn.config.max_session_timeout_ms;
    if !sessions.contains(&request.session_timeout_ms) {
        return Err(ErrorCode::InvalidSessionTimeout);
    }
    let mut texts = [
        &request.fresh_member_id,
        &request.client_id,
        &request.client_host,
        &request.protocol_type,
    ]
    .into_iter()
    .chain(request.group_instance_id.as_ref())
    .chain(request.protocols.iter().map(|(name, _)| name));
    if texts.all(|text| fits(text)) {
        Ok(())
    } else {
        Err(ErrorCode::InvalidRequest)
    }
}

fn refuse(turn: &mut Turn<'_>, token: Token, error: ErrorCode, member_id: &str) {
    turn.reply(token, GroupResponse::JoinGroup(Joined::refused(error, member_id)));
}

/// The bytes of what is asked for, as a member's are counted.
fn protocol_bytes(request: &JoinGroup) -> usize {
    let protocols = request.protocols.iter();
    protocols
        .map(|(name, metadata)| name.len() + metadata.len())
        .sum()
}

fn shared(protocols: &[(String, Bytes)]) -> Vec<(Arc<str>, Bytes)> {
    let protocols = protocols.iter();
    protocols
        .map(|(name, metadata)| (Arc::from(name.as_str()), metadata.clone()))
        .collect()
}

impl ClassicGroup {
    /// Whether the one who asks has become a member, or pending, or was one.
    fn join(&mut self, turn: &mut Turn<'_>, token: Token, request: &JoinGroup) -> bool {
        let member_id = request.member_id.as_str();
        if let Err(error) = self.admit(turn, request) {
            // Who was a member of a group that is too large is one no longer.
            let told = if error == ErrorCode::GroupMaxSizeReached {
                self.dismiss_refused(turn, member_id);
                ""
            } else {
                member_id
            };
            refuse(turn, token, error, told);
            return false;
        }
        match &request.group_instance_id {
            _ if self.pending.contains(member_id) => self.add_member(turn, token, request, member_id.into()),
            _ if !member_id.is_empty() => self.rejoin(turn, token, request),
            Some(instance_id) => match self.instances.get(instance_id.as_str()).cloned() {
                Some(current) => self.replace_static(turn, token, request, &current),
                None => self.add_member(turn, token, request, request.fresh_member_id.as_str().into()),
            },
            None if request.requires_known_member_id => self.add_pending(turn, token, request),
            None => self.add_member(turn, token, request, request.fresh_member_id.as_str().into()),
        }
        true
    }

    /// Whether the group has room for a member, and a protocol in common with it.
    fn admit(&self, turn: &Turn<'_>, request: &JoinGroup) -> Result<(), ErrorCode> {
        let member = self.members.get(request.member_id.as_str());
        let has_room = match self.state {
            State::Empty => true,
            // Those who come first stay: the group may have been larger before its bound was lowered.
            State::Preparing => {
                member.is_some_and(|member| member.join.is_some()) || self.joining < turn.config.max_size
            }
            State::Completing | State::Stable => {
                member.is_some() || self.members.len() < turn.config.max_size
            }
        };
        let bytes = self.bytes_with(request);
        if !has_room || bytes > GROUP_BYTES_MAX {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        let of_instance = |instance_id: &String| self.instances.get(instance_id.as_str());
        let replaced = request.group_instance_id.as_ref().and_then(of_instance);
        let has_memory = match member.or_else(|| self.members.get(replaced?)) {
            Some(member) => match protocol_bytes(request).saturating_sub(member.protocol_bytes()) {
                0 => true,
                more => turn.memory.has_room(more),
            },
            None => {
                let more = bytes - self.bytes + MEMBER_MEMORY_BYTES + PENDING_MEMORY_BYTES;
                turn.memory.has_room_for_newcomer(more)
            }
        };
        if !has_memory {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if !self.supports(&request.protocol_type, &request.protocols) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let is_pending = self.pending.contains(&request.member_id) && request.group_instance_id.is_none();
        if request.member_id.is_empty() || is_pending {
            Ok(())
        } else {
            self.validate_member(&request.member_id, request.group_instance_id.as_deref())
        }
    }

    /// The bytes of all members once this one has joined.
    fn bytes_with(&self, request: &JoinGroup) -> usize {
        let before = match self.members.get(request.member_id.as_str()) {
            Some(member) => member.protocol_bytes(),
            None => 0,
        };
        let strings = [
            Some(&request.fresh_member_id),
            request.group_instance_id.as_ref(),
            Some(&request.client_id),
            Some(&request.client_host),
        ];
        let strings: usize = strings.into_iter().flatten().map(String::len).sum();
        self.bytes - before + protocol_bytes(request) + strings + MEMBER_OVERHEAD_BYTES
    }

    fn dismiss_refused(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        if self.pending.remove(member_id) {
            self.cancel_session(turn, member_id);
        }
        if self.members.contains_key(member_id) {
            self.dismiss(turn, member_id);
            self.maybe_complete_join(turn);
        }
    }

    /// Gives out an id with which the client is to come back (KIP-394).
    fn add_pending(&mut self, turn: &mut Turn<'_>, token: Token, request: &JoinGroup) {
        if self.pending.len() >= PENDING_MEMBERS_MAX
            && let Some(oldest) = self.pending.oldest()
        {
            self.pending.remove(&oldest);
            self.cancel_session(turn, &oldest);
        }
        let member_id: Arc<str> = request.fresh_member_id.as_str().into();
        self.pending.insert(Arc::clone(&member_id));
        self.start_session(turn, &member_id, request.session_timeout_ms);
        refuse(turn, token, ErrorCode::MemberIdRequired, &member_id);
    }

    fn add_member(&mut self, turn: &mut Turn<'_>, token: Token, request: &JoinGroup, member_id: Arc<str>) {
        self.pending.remove(&member_id);
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.as_str().into());
        }
        let member = Member {
            instance_id: request.group_instance_id.as_deref().map(Arc::from),
            client_id: request.client_id.as_str().into(),
            client_host: request.client_host.as_str().into(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: shared(&request.protocols),
            assignment: Bytes::new(),
            join: Some(token),
            sync: None,
            is_new: true,
            is_unsynced: false,
        };
        self.add(&member_id, member);
        if let Some(delay) = &mut self.initial_delay {
            delay.has_grown = true;
        }
        // It can't heartbeat before it knows its id, and its client may be gone without our knowing.
        self.start_session(turn, &member_id, NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.rebalance(turn);
    }

    /// A member of the group joins again. It is one: that was checked.
    fn rejoin(&mut self, turn: &mut Turn<'_>, token: Token, request: &JoinGroup) {
        let member_id = request.member_id.as_str();
        let Some(member) = self.members.get(member_id) else {
            return;
        };
        let is_unchanged = member.has_protocols(&request.protocols);
        let needs_rebalance = match self.state {
            State::Preparing => true,
            // It may not have got the answer to its first request.
            State::Completing => !is_unchanged,
            // A leader joins again when it wants to assign anew.
            State::Stable => !is_unchanged || self.is_leader(member_id),
            State::Empty => false,
        };
        if !needs_rebalance {
            let joined = self.joined(member_id, self.is_leader(member_id));
            self.restart_session(turn, member_id);
            turn.reply(token, GroupResponse::JoinGroup(joined));
            return;
        }
        self.change(member_id, request);
        self.await_join(turn, member_id, token);
        self.rebalance(turn);
    }

    /// Takes over what a member has told anew.
    pub(super) fn change(&mut self, member_id: &str, request: &JoinGroup) {
        self.update(member_id, |member| {
            member.protocols = shared(&request.protocols);
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
            member.session_timeout_ms = request.session_timeout_ms;
        });
    }
}
