//! Bugs put in on purpose, which the simulator must find (`sim/tests/planted.rs`). They exist in this crate's own tests only:
//! anywhere else `planted!(..)` is `false`.

#[cfg(test)]
use std::cell::Cell;

/// Whether a bug is planted.
#[cfg(test)]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::Bug::$bug.is_planted()
    };
}

/// Whether a bug is planted: never.
#[cfg(not(test))]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

/// What may be wrong.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A new leader serves what it believes to be committed before it has committed an entry of its own.
    ReadBeforeOwnEpoch,
    /// A leader serves without asking whether it still leads.
    ReadWithoutLease,
    /// A lease is trusted although leadership was offered to another.
    LeaseOutlivesTransfer,
    /// The high watermark is taken as the last offset, and so is one too far.
    HighWatermarkOneTooFar,
    /// Consumers see what is not committed.
    HighWatermarkIsTheLogsEnd,
    /// A follower answers before its write is durable.
    AckBeforeDurable,
    /// A leader counts its own write before it is durable.
    LeaderCountsItselfBeforeDurable,
    /// A vote is not written down.
    VoteNotKept,
    /// A follower that cuts its log cuts a batch more than it should.
    TruncateOneTooMany,
    /// A follower stamps what it appends with the current epoch.
    FollowerStampsItsOwnEpoch,
    /// A copy begins at the log's end, although what is there may be of a leader that failed.
    CopyKeepsWhatIsNotCommitted,
    /// A copy is noted as whole together with its last batches.
    CopyAnchoredBeforeDurable,
    /// A leader counts copies of an earlier leader's entries (the Raft paper's figure 8).
    CommitBeforeOwnEpoch,
    /// acks=all is answered when the leader has it.
    AckAllWhenOnlyLocal,
    /// acks=1 is answered before the leader has it on its disk.
    AckOneBeforeDurable,
    /// `min.insync.replicas` counts for nothing.
    MinInsyncIgnored,
    /// A follower does not learn of producers from what is replicated to it.
    ProducersNotReplicated,
    /// What was known of producers stays when the log is cut.
    ProducersNotRolledBack,
    /// A group that sleeps does not notice that its leader is gone.
    SleepersNeverWake,
}

#[cfg(test)]
thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

#[cfg(test)]
impl Bug {
    /// Whether it is in the code that this thread runs.
    pub fn is_planted(self) -> bool {
        PLANTED.get() == Some(self)
    }

    /// Puts one bug into the code that this thread runs, or takes it out.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }
}
