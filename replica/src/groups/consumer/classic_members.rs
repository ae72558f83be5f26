//! Members of a consumer group that speak the classic protocol (KIP-848, "Classic protocol").
//!
//! Their rebalances are theirs alone: JoinGroup is answered at once, the member's epoch is its generation, there is no leader,
//! and SyncGroup tells what the member owns. A Heartbeat tells it to join again where a consumer's heartbeat would have told
//! it something new. It has its rebalance timeout to join after that, and to sync after it has joined.

use std::sync::Arc;

use tautline_core::error::ErrorCode;

use super::downgrade;
use super::edit::Edit;
use super::embedded::{PROTOCOL_TYPE, Subscription};
use super::group::{ConsumerGroup, Member};
use super::leave::{fence, leaving};
use super::record::{ClassicMember, MemberMetadata, MemberState, sorted_names};
use super::timing::edit;
use super::upgrade::by_id;
use crate::coordinator::Token;
use crate::groups::group::Group;
use crate::groups::request::{Heartbeat, JoinGroup, LeavingMember, SyncGroup};
use crate::groups::response::{GroupResponse, Joined, Synced};
use crate::groups::timers::TimerKind;
use crate::groups::turn::{Groups, Turn};

/// JoinGroup to a consumer group that has members.
pub(crate) fn join(groups: &mut Groups, turn: &mut Turn<'_>, token: Token, request: &JoinGroup) {
    let answer = edit(groups, turn, &request.group_id, |edit| edit.join(request));
    let joined = match answer.expect("the caller found the group") {
        Ok(joined) => joined,
        Err(error) => Joined::refused(error, request.member_id.as_str()),
    };
    turn.reply(token, GroupResponse::JoinGroup(joined));
    // It may have taken the place of the last member that spoke the consumer protocol, or have been it.
    let id: Arc<str> = Arc::from(request.group_id.as_str());
    downgrade::without(groups, turn, &id, &[]);
}

/// SyncGroup to a consumer group.
pub(crate) fn sync(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    request: &SyncGroup,
) -> Result<Synced, ErrorCode> {
    edit(groups, turn, &request.group_id, |edit| edit.sync(request))
        .unwrap_or(Err(ErrorCode::UnknownMemberId))
}

/// Heartbeat to a consumer group: whether the member has to join again.
pub(crate) fn heartbeat(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    request: &Heartbeat,
) -> Result<ErrorCode, ErrorCode> {
    edit(groups, turn, &request.group_id, |edit| {
        edit.classic_heartbeat(request)
    })
    .unwrap_or(Err(ErrorCode::UnknownMemberId))
}

/// LeaveGroup to a consumer group: what became of each, in the order asked.
pub(crate) fn leave(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    id: &str,
    members: &[LeavingMember],
) -> Vec<ErrorCode> {
    let Some(Group::Consumer(group)) = groups.get(id) else {
        return vec![ErrorCode::UnknownMemberId; members.len()];
    };
    let id = Arc::clone(&group.id);
    let mut gone: Vec<Arc<str>> = Vec::new();
    let errors = members
        .iter()
        .map(|member| {
            let found = find(group, &member.member_id, member.group_instance_id.as_deref());
            match found {
                Ok(member) if gone.contains(&member) => ErrorCode::UnknownMemberId,
                Ok(member) => {
                    gone.push(member);
                    ErrorCode::None
                }
                Err(error) => error,
            }
        })
        .collect();
    if !gone.is_empty() {
        fence(groups, turn, &id, &gone);
    }
    errors
}

/// The member of that id that speaks the classic protocol. Tools name a static member by its instance id alone.
fn find(group: &ConsumerGroup, id: &str, instance: Option<&str>) -> Result<Arc<str>, ErrorCode> {
    let id = match instance.and_then(|instance| group.static_member(instance)) {
        Some((known, _)) if id.is_empty() => known,
        _ => id,
    };
    let id = leaving(group, id, instance).map_err(|refusal| refusal.code)?;
    match group.members[&id].metadata.classic {
        Some(_) => Ok(id),
        None => Err(ErrorCode::UnknownMemberId),
    }
}

impl Edit<'_> {
    /// Takes in a member, or brings one on. Nothing was changed if it is refused.
    fn join(&mut self, request: &JoinGroup) -> Result<Joined, ErrorCode> {
        let instance = request.group_instance_id.as_deref();
        let is_new = request.member_id.is_empty();
        let of_instance = instance.and_then(|instance| self.group.static_member(instance));
        let known = match (of_instance, instance) {
            (Some((known, _)), _) if is_new || **known == *request.member_id => Some(Arc::clone(known)),
            (Some(_), _) => return Err(ErrorCode::FencedInstanceId),
            (None, Some(_)) if !is_new => return Err(ErrorCode::UnknownMemberId),
            (None, _) => self
                .group
                .members
                .get_key_value(request.member_id.as_str())
                .map(|(id, _)| Arc::clone(id)),
        };
        if known.is_none() {
            self.check_room().map_err(|refusal| refusal.code)?;
        }
        if !self.supports(request) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let (_, metadata) = request
            .protocols
            .first()
            .ok_or(ErrorCode::InconsistentGroupProtocol)?;
        let subscription =
            Subscription::decode(metadata).map_err(|_| ErrorCode::InconsistentGroupProtocol)?;
        let owned = by_id(&subscription.owned, self.now.image);
        let state = known
            .as_ref()
            .map(|known| self.group.members[known].current.state);
        if state == Some(MemberState::Unknown) && !owned.is_empty() {
            // It must give up all and come back as another.
            return Err(ErrorCode::UnknownMemberId);
        }
        if is_new && instance.is_none() && request.requires_known_member_id {
            return Ok(Joined::refused(
                ErrorCode::MemberIdRequired,
                request.fresh_member_id.as_str(),
            ));
        }

        let id: Arc<str> = if is_new {
            Arc::from(request.fresh_member_id.as_str())
        } else {
            Arc::from(request.member_id.as_str())
        };
        let before = known
            .as_ref()
            .and_then(|known| self.group.members.get(known))
            .cloned();
        let asked = asked(before.as_ref(), request, subscription);
        self.check_bytes(&id, &asked).map_err(|refusal| refusal.code)?;
        if let Some(known) = known.filter(|known| *known != id) {
            self.replace_member(&known, &id);
        }
        let before = self.group.members.get(&id).cloned();
        self.change_member(&id, before.as_ref(), asked);
        self.assign();
        self.reconcile_member(&id, Some(&owned))
            .map_err(|refusal| refusal.code)?;
        self.heard_of(&id);
        self.expect_from(&id, true);

        let member = &self.group.members[&id];
        Ok(Joined {
            error: ErrorCode::None,
            generation_id: member.current.epoch,
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: Some(protocol(member)),
            leader: Arc::from(""),
            skip_assignment: false,
            member_id: id,
            members: Vec::new(),
        })
    }

    /// Whether a member with these protocols fits those of the classic protocol that are there.
    fn supports(&self, request: &JoinGroup) -> bool {
        let count = |name: &str| {
            let classic = self
                .group
                .members
                .values()
                .filter_map(|member| member.metadata.classic.as_ref());
            classic
                .filter(|classic| classic.protocols.iter().any(|(known, _)| **known == *name))
                .count()
        };
        request.protocol_type == PROTOCOL_TYPE
            && request
                .protocols
                .iter()
                .any(|(name, _)| count(name) == self.group.classic_count)
    }

    fn sync(&mut self, request: &SyncGroup) -> Result<Synced, ErrorCode> {
        let id = self.speaking(
            &request.member_id,
            request.group_instance_id.as_deref(),
            request.generation_id,
        )?;
        let member = &self.group.members[&id];
        let protocol = protocol(member);
        let differs =
            |asked: &Option<String>, known: &str| asked.as_deref().is_some_and(|asked| asked != known);
        if differs(&request.protocol_type, PROTOCOL_TYPE) || differs(&request.protocol_name, &protocol) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        self.assign();
        let member = &self.group.members[&id];
        // One that has to give up partitions does that first, and then joins again.
        if self.group.target_epoch > member.current.epoch
            && member.current.state != MemberState::UnrevokedPartitions
        {
            self.expect_from(&id, false);
            return Err(ErrorCode::RebalanceInProgress);
        }
        let metadata = member
            .metadata
            .classic
            .as_ref()
            .and_then(|classic| classic.protocols.first());
        let version = metadata
            .and_then(|(_, metadata)| Subscription::decode(metadata).ok())
            .map_or(0, |subscription| subscription.version);
        let assignment = downgrade::encoded(version, &member.current.assigned, self.now.image);
        let key = self.timer(TimerKind::ConsumerClassicJoin, &id);
        self.timers.cancel(&key);
        self.heard_of(&id);
        Ok(Synced {
            error: ErrorCode::None,
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: Some(protocol),
            assignment,
        })
    }

    fn classic_heartbeat(&mut self, request: &Heartbeat) -> Result<ErrorCode, ErrorCode> {
        let id = self.speaking(
            &request.member_id,
            request.group_instance_id.as_deref(),
            request.generation_id,
        )?;
        self.heard_of(&id);
        self.assign();
        let member = &self.group.members[&id];
        let rejoins = member.current.epoch < self.group.target_epoch
            || member.current.state == MemberState::UnrevokedPartitions
            || (member.current.state == MemberState::UnreleasedPartitions
                && !self.waits_for_others(&id, member));
        if !rejoins {
            return Ok(ErrorCode::None);
        }
        self.expect_from(&id, false);
        Ok(ErrorCode::RebalanceInProgress)
    }

    fn waits_for_others(&self, id: &str, member: &Member) -> bool {
        let missing = self.group.target(id).difference(&member.current.assigned);
        missing
            .iter()
            .any(|partition| self.group.owners.contains_key(&partition))
    }

    /// The member, if it speaks the classic protocol and is of that generation.
    fn speaking(&self, id: &str, instance: Option<&str>, generation: i32) -> Result<Arc<str>, ErrorCode> {
        let id = leaving(self.group, id, instance).map_err(|refusal| refusal.code)?;
        let member = &self.group.members[&id];
        if member.metadata.classic.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        if member.current.epoch != generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok(id)
    }

    /// The member has its rebalance timeout to join or to sync; `anew` even if that time runs already.
    fn expect_from(&mut self, id: &Arc<str>, anew: bool) {
        let key = self.timer(TimerKind::ConsumerClassicJoin, id);
        if anew || self.timers.deadline_ms(&key).is_none() {
            let timeout_ms = self.group.members[id].metadata.rebalance_timeout_ms.max(0);
            self.timers
                .set(&key, self.now.monotonic_ms + i64::from(timeout_ms));
        }
    }
}

/// What the member asks to be.
fn asked(before: Option<&Member>, request: &JoinGroup, subscription: Subscription) -> MemberMetadata {
    let before = before.map(|member| member.metadata.clone()).unwrap_or_default();
    let instance = request.group_instance_id.as_deref().map(Arc::from);
    MemberMetadata {
        instance_id: instance.or(before.instance_id),
        rack_id: subscription.rack_id.or(before.rack_id),
        client_id: Arc::from(request.client_id.as_str()),
        client_host: Arc::from(request.client_host.as_str()),
        subscribed_topic_names: sorted_names(subscription.topics),
        subscribed_topic_regex: None,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        server_assignor: before.server_assignor,
        classic: Some(ClassicMember {
            session_timeout_ms: request.session_timeout_ms,
            protocols: request
                .protocols
                .iter()
                .map(|(name, metadata)| (Arc::from(name.as_str()), metadata.clone()))
                .collect(),
        }),
    }
}

/// The protocol that a classic member is told: its own best.
fn protocol(member: &Member) -> Arc<str> {
    let classic = member.metadata.classic.as_ref();
    let best = classic.and_then(|classic| classic.protocols.first());
    best.map_or_else(|| Arc::from(""), |(name, _)| Arc::clone(name))
}
