//! Who of a consumer group may commit offsets and ask for them: by member epoch (KIP-848).

use tautline_core::error::ErrorCode;

use super::group::{ConsumerGroup, Member};
use crate::groups::group::{CommitKind, MemberClaim};

impl ConsumerGroup {
    /// Whether the member may commit.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION for a member that speaks the classic protocol, and
    /// UNSUPPORTED_VERSION where the version can't tell these apart.
    pub(crate) fn validate_offset_commit(
        &self,
        claim: MemberClaim<'_>,
        kind: CommitKind,
    ) -> Result<(), ErrorCode> {
        // A tool, or a consumer that manages its partitions itself.
        if claim.generation < 0 && self.is_empty() {
            return Ok(());
        }
        let is_anonymous =
            claim.generation == -1 && claim.member_id.is_empty() && claim.group_instance_id.is_none();
        if kind == CommitKind::Transactional && is_anonymous {
            return Ok(());
        }
        let member = self
            .members
            .get(claim.member_id)
            .ok_or(ErrorCode::UnknownMemberId)?;
        if kind
            == (CommitKind::Plain {
                knows_member_epochs: false,
            })
            && member.metadata.classic.is_none()
        {
            return Err(ErrorCode::UnsupportedVersion);
        }
        check_epoch(member, claim.generation)
    }

    /// Whether the member may ask what was committed.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, and ILLEGAL_GENERATION for a member that speaks the classic protocol.
    pub(crate) fn validate_offset_fetch(
        &self,
        member_id: Option<&str>,
        member_epoch: i32,
    ) -> Result<(), ErrorCode> {
        if member_id.is_none() && member_epoch < 0 {
            return Ok(());
        }
        let member = member_id
            .and_then(|id| self.members.get(id))
            .ok_or(ErrorCode::UnknownMemberId)?;
        check_epoch(member, member_epoch)
    }
}

fn check_epoch(member: &Member, epoch: i32) -> Result<(), ErrorCode> {
    if epoch == member.current.epoch {
        Ok(())
    } else if member.metadata.classic.is_some() {
        Err(ErrorCode::IllegalGeneration)
    } else {
        Err(ErrorCode::StaleMemberEpoch)
    }
}
