//! ConsumerGroupHeartbeat: a member joins, tells what it wants and has, and is told what to have (KIP-848).
//!
//! A heartbeat that changes nothing writes nothing. Otherwise, in this order: the member is made or changed; if that changes
//! what is subscribed to, or the topics have changed, the group has a new epoch; if the targets are of an older epoch they are
//! assigned anew; the member goes on towards its target.

use std::sync::Arc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};

use super::PartitionSet;
use super::edit::Edit;
use super::group::{JOIN_EPOCH, LEAVE_STATIC_EPOCH, Member};
use super::pattern;
use super::reconcile::{self, Target};
use super::record::{ConsumerRecord, CurrentAssignment, MemberMetadata, sorted_names};
use crate::Refusal;
use crate::groups::limits::GROUP_BYTES_MAX;
use crate::groups::request::ConsumerGroupHeartbeat;
use crate::groups::response::ConsumerHeartbeat;
use crate::groups::timers::TimerKind;

/// Who a heartbeat is from.
struct Who {
    id: Arc<str>,
    /// The static member whose place it takes.
    replaces: Option<Arc<str>>,
}

impl Edit<'_> {
    /// A member that does not leave. Nothing was changed if it is refused.
    ///
    /// # Errors
    /// What the member is told.
    pub fn heartbeat(&mut self, request: &ConsumerGroupHeartbeat) -> Result<ConsumerHeartbeat, Refusal> {
        let owned: Option<PartitionSet> = request
            .topic_partitions
            .as_ref()
            .map(|topics| topics.iter().cloned().collect());
        let who = self.who(request, owned.as_ref())?;
        let known = who.replaces.as_ref().unwrap_or(&who.id);
        let before = self.group.members.get(known).cloned();
        let asked = asked(before.as_ref(), request);
        self.check_pattern(before.as_ref(), &asked)?;
        self.check_bytes(&who.id, &asked)?;
        // A member of unknown state may be refused, so that is tried first.
        if let Some(before) = &before {
            let target = Target {
                epoch: self.group.target_epoch,
                partitions: &PartitionSet::EMPTY,
            };
            reconcile::reconcile(&before.current, target, owned.as_ref(), |_, _| false)?;
        }

        if let Some(replaced) = &who.replaces {
            self.replace_member(replaced, &who.id);
        }
        let before = self.group.members.get(&who.id).cloned();
        self.change_member(&who.id, before.as_ref(), asked);
        self.assign();
        let before = before.map_or(CurrentAssignment::NEW, |member| member.current);
        self.reconcile_member(&who.id, owned.as_ref())?;
        self.heard_of(&who.id);

        let current = &self.group.members[&who.id].current;
        let is_full = request.rebalance_timeout_ms != -1
            && (request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some())
            && request.topic_partitions.is_some();
        let tell = request.member_epoch == JOIN_EPOCH || is_full || current.assigned != before.assigned;
        Ok(ConsumerHeartbeat {
            error: ErrorCode::None,
            error_message: None,
            member_id: Some(Arc::clone(&who.id)),
            member_epoch: current.epoch,
            heartbeat_interval_ms: self.setting(
                "consumer.heartbeat.interval.ms",
                self.config.consumer_heartbeat_interval_ms,
            ),
            assignment: tell.then(|| topics(&current.assigned)),
        })
    }

    /// Finds the member, and whether it may speak for itself.
    fn who(&self, request: &ConsumerGroupHeartbeat, owned: Option<&PartitionSet>) -> Result<Who, Refusal> {
        let joins = request.member_epoch == JOIN_EPOCH;
        let id = if request.member_id.is_empty() {
            &request.fresh_member_id
        } else {
            &request.member_id
        };
        let instance = request.instance_id.as_deref();
        let of_instance = instance.and_then(|instance| self.group.static_member(instance));
        let by_id = self.group.members.get_key_value(id.as_str());
        if joins && by_id.is_none() && of_instance.is_none() {
            self.check_room()?;
        }
        let (known, member) = match (of_instance, by_id) {
            (Some((known, member)), _) if joins && **known != **id => {
                // A classic member can't say that it leaves for a while, and so gives way.
                if member.metadata.classic.is_none() && member.current.epoch != LEAVE_STATIC_EPOCH {
                    return Err(unreleased(id, instance.unwrap_or_default(), known));
                }
                return Ok(Who {
                    id: Arc::from(id.as_str()),
                    replaces: Some(Arc::clone(known)),
                });
            }
            (Some((known, member)), _) => {
                if **known != **id {
                    return Err(fenced_instance(id, instance.unwrap_or_default(), known));
                }
                (known, member)
            }
            (None, Some((known, member))) if instance.is_none() || joins => (known, member),
            (None, None) if joins => {
                return Ok(Who {
                    id: Arc::from(id.as_str()),
                    replaces: None,
                });
            }
            (None, _) => return Err(unknown_member(&self.group.id, id, instance)),
        };
        check_epoch(member, request.member_epoch, owned)?;
        Ok(Who {
            id: Arc::clone(known),
            replaces: None,
        })
    }

    /// Whether the group may have one member more.
    pub fn check_room(&self) -> Result<(), Refusal> {
        let most = self.config.consumer_max_size;
        if self.group.members.len() >= most {
            return Err(Refusal::new(
                ErrorCode::GroupMaxSizeReached,
                format!("The consumer group has reached its maximum capacity of {most} members."),
            ));
        }
        Ok(())
    }

    /// Whether there is memory for what a member asks to be.
    pub fn check_bytes(&self, id: &str, asked: &MemberMetadata) -> Result<(), Refusal> {
        if self.group.bytes_with(id, asked) > GROUP_BYTES_MAX {
            return Err(Refusal::new(
                ErrorCode::GroupMaxSizeReached,
                format!("The members of the consumer group take more than {GROUP_BYTES_MAX} bytes."),
            ));
        }
        if !self.group.has_memory_for(id, asked) {
            return Err(no_memory());
        }
        Ok(())
    }

    fn check_pattern(&self, before: Option<&Member>, asked: &MemberMetadata) -> Result<(), Refusal> {
        let Some(pattern) = &asked.subscribed_topic_regex else {
            return Ok(());
        };
        let kept = before.and_then(|member| member.metadata.subscribed_topic_regex.as_ref()) == Some(pattern);
        if kept || self.group.patterns.contains_key(pattern) {
            return Ok(());
        }
        if self.group.patterns.len() >= pattern::PATTERNS_MAX {
            return Err(Refusal::new(
                ErrorCode::GroupMaxSizeReached,
                format!(
                    "The consumer group has {} regular expressions already.",
                    pattern::PATTERNS_MAX
                ),
            ));
        }
        pattern::compile(pattern).map(drop).map_err(|why| {
            Refusal::new(
                ErrorCode::InvalidRegularExpression,
                format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {why}."),
            )
        })
    }

    /// Makes the member what it asks to be, with a new epoch if that or the topics change what is to be assigned.
    pub fn change_member(&mut self, id: &Arc<str>, before: Option<&Member>, asked: MemberMetadata) {
        let known = before.map(|member| &member.metadata);
        let names_changed = known.map_or(!asked.subscribed_topic_names.is_empty(), |known| {
            known.subscribed_topic_names != asked.subscribed_topic_names
        });
        let pattern = asked.subscribed_topic_regex.clone();
        let pattern_changed =
            known.and_then(|known| known.subscribed_topic_regex.as_ref()) != pattern.as_ref();
        let was_classic = known.is_some_and(|known| known.classic.is_some());
        let is_classic = asked.classic.is_some();
        if known != Some(&asked) {
            self.write(ConsumerRecord::Member(Arc::clone(id), Some(asked)));
        }
        if was_classic && !is_classic {
            self.timers
                .cancel(&self.timer(TimerKind::ConsumerClassicJoin, id));
        }
        let mut changed = names_changed || self.group.epoch == 0;
        if pattern_changed {
            self.forget_unused_patterns();
            changed |= self.resolve_new_patterns();
            // While it is being resolved nothing can be assigned; the new epoch comes with the topics.
            changed |= pattern.is_none_or(|pattern| self.group.resolved.contains_key(&pattern));
            self.schedule_patterns();
        }
        if changed || self.topics_differ() {
            self.bump_epoch();
        }
    }

    /// Brings a member as far towards its target as others and itself allow.
    pub fn reconcile_member(&mut self, id: &Arc<str>, owned: Option<&PartitionSet>) -> Result<(), Refusal> {
        let group = &*self.group;
        let current = &group.members[id].current;
        let target = Target {
            epoch: group.target_epoch,
            partitions: group.target(id),
        };
        let has_owner =
            |topic: TopicId, partition: PartitionIndex| group.owners.contains_key(&(topic, partition));
        let next = reconcile::reconcile(current, target, owned, has_owner)?;
        if next != *current {
            self.write(ConsumerRecord::Current(Arc::clone(id), Some(next)));
            self.watch_revocation(id);
        }
        Ok(())
    }
}

/// What the member asks to be: what it does not say stays as it was, unless it joins, which says all.
fn asked(before: Option<&Member>, request: &ConsumerGroupHeartbeat) -> MemberMetadata {
    let mut asked = before.map_or_else(MemberMetadata::default, |member| member.metadata.clone());
    if request.member_epoch == JOIN_EPOCH {
        asked = MemberMetadata {
            instance_id: asked.instance_id,
            ..MemberMetadata::default()
        };
    }
    if let Some(instance) = &request.instance_id {
        set_text(&mut asked.instance_id, instance);
    }
    if let Some(rack) = &request.rack_id {
        set_text(&mut asked.rack_id, rack);
    }
    if request.rebalance_timeout_ms != -1 {
        asked.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if let Some(assignor) = &request.server_assignor {
        set_text(&mut asked.server_assignor, assignor);
    }
    if let Some(names) = &request.subscribed_topic_names {
        asked.subscribed_topic_names =
            sorted_names(names.iter().map(|name| Arc::from(name.as_str())).collect());
    }
    if let Some(pattern) = &request.subscribed_topic_regex {
        asked.subscribed_topic_regex = (!pattern.is_empty()).then(|| Arc::from(pattern.as_str()));
    }
    if *asked.client_id != *request.client_id {
        asked.client_id = Arc::from(request.client_id.as_str());
    }
    if *asked.client_host != *request.client_host {
        asked.client_host = Arc::from(request.client_host.as_str());
    }
    asked.classic = None;
    asked
}

fn set_text(field: &mut Option<Arc<str>>, text: &str) {
    if field.as_deref() != Some(text) {
        *field = Some(Arc::from(text));
    }
}

/// A set as responses have it.
pub(super) fn topics(partitions: &PartitionSet) -> Vec<(TopicId, Vec<PartitionIndex>)> {
    partitions
        .topics()
        .map(|(topic, partitions)| (topic, partitions.to_vec()))
        .collect()
}

fn check_epoch(member: &Member, epoch: i32, owned: Option<&PartitionSet>) -> Result<(), Refusal> {
    let current = &member.current;
    let how = match epoch.cmp(&current.epoch) {
        // Who joins, again or for the first time, owns nothing and is welcome.
        _ if epoch == JOIN_EPOCH => return Ok(()),
        std::cmp::Ordering::Equal => return Ok(()),
        // The answer that told the new epoch may be lost.
        std::cmp::Ordering::Less
            if epoch == current.previous_epoch
                && owned.is_some_and(|owned| owned.is_subset(&current.assigned)) =>
        {
            return Ok(());
        }
        std::cmp::Ordering::Less => "smaller",
        std::cmp::Ordering::Greater => "greater",
    };
    Err(Refusal::new(
        ErrorCode::FencedMemberEpoch,
        format!(
            "The consumer group member has a {how} member epoch ({epoch}) than the one known by the group coordinator \
             ({}). The member must abandon all its partitions and rejoin.",
            current.epoch
        ),
    ))
}

pub(super) fn no_memory() -> Refusal {
    Refusal::new(
        ErrorCode::CoordinatorNotAvailable,
        "The coordinators of this broker have no memory left (raise --memory).",
    )
}

pub(super) fn unknown_member(group: &str, id: &str, instance: Option<&str>) -> Refusal {
    let message = match instance {
        Some(instance) => format!("Instance id {instance} is unknown."),
        None => format!("Member {id} is not a member of group {group}."),
    };
    Refusal::new(ErrorCode::UnknownMemberId, message)
}

pub(super) fn fenced_instance(id: &str, instance: &str, by: &str) -> Refusal {
    Refusal::new(
        ErrorCode::FencedInstanceId,
        format!("Static member {id} with instance id {instance} was fenced by member {by}."),
    )
}

fn unreleased(id: &str, instance: &str, owner: &str) -> Refusal {
    Refusal::new(
        ErrorCode::UnreleasedInstanceId,
        format!(
            "Static member {id} with instance id {instance} cannot join the group because the instance id is owned by \
             {owner} member."
        ),
    )
}
