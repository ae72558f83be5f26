//! The fetch sessions of one core: who has one, whose goes when there is no room.

use std::collections::HashMap;
use std::ops::Range;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_core::limits::TOPIC_NAME_BYTES_MAX;

use super::session::FetchSession;
use super::{FetchContext, FetchedTopic, FullFetch, IncrementalFetch, SessionLimits, SessionPartition, Slot};
use crate::wire::{FetchRequest, PartitionData};

/// No session.
pub(super) const SESSION_ID_NONE: i32 = 0;
/// Epoch of a request that opens a session.
pub(super) const EPOCH_INITIAL: i32 = 0;
/// Epoch of a request that wants none.
pub(super) const EPOCH_FINAL: i32 = -1;
/// First version of Fetch that names topics by id (KIP-516).
const TOPIC_ID_VERSION_MIN: i16 = 13;

/// The fetch sessions of one core.
#[derive(Debug)]
pub struct FetchSessions {
    limits: SessionLimits,
    ids: Range<i32>,
    id_state: u64,
    pub(super) sessions: HashMap<i32, FetchSession>,
    partitions: usize,
    evictions: u64,
}

impl FetchSessions {
    /// An empty cache that takes its session ids from `ids`, which must be positive and more than the limit's slots; give
    /// each core a range of its own, so that a client that comes back on another core finds no stranger's session.
    pub fn new(limits: SessionLimits, ids: Range<i32>, seed: u64) -> Self {
        assert!(
            ids.start > SESSION_ID_NONE && ids.len() > limits.slots,
            "session ids {ids:?} for {limits:?}"
        );
        Self {
            limits,
            ids,
            id_state: seed,
            sessions: HashMap::new(),
            partitions: 0,
            evictions: 0,
        }
    }

    /// Sessions held.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Partitions held, of all sessions.
    pub fn partition_count(&self) -> usize {
        self.partitions
    }

    /// Sessions evicted for others since the start.
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Begins a fetch: closes, finds or changes the session the request names. Versions without sessions are full fetches.
    pub fn begin(&mut self, version: i16, request: &FetchRequest<'_>, now_ms: i64) -> FetchContext {
        let uses_topic_ids = version >= TOPIC_ID_VERSION_MIN;
        if matches!(request.session_epoch, EPOCH_INITIAL | EPOCH_FINAL) {
            self.remove(request.session_id);
            let opens_session = request.session_epoch == EPOCH_INITIAL;
            return FetchContext::Full(FullFetch {
                uses_topic_ids,
                opens_session,
            });
        }
        let session_id = request.session_id;
        let Some(session) = self.sessions.get_mut(&session_id) else {
            return FetchContext::Refused(ErrorCode::FetchSessionIdNotFound);
        };
        if session.epoch != request.session_epoch {
            return FetchContext::Refused(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids() != uses_topic_ids {
            return FetchContext::Refused(ErrorCode::FetchSessionTopicIdError);
        }

        let others = self.partitions - session.len();
        let fits = update(session, request, self.limits.partitions.saturating_sub(others));
        session.used_ms = now_ms;
        session.epoch = next_epoch(session.epoch);
        let (length, epoch) = (session.len(), session.epoch);
        self.partitions = others + length;
        if !fits {
            // The client opens a new session with all its partitions, and is then served without one.
            self.remove(session_id);
            return FetchContext::Refused(ErrorCode::FetchSessionIdNotFound);
        }
        if length == 0 {
            self.remove(session_id);
            return FetchContext::Full(FullFetch {
                uses_topic_ids,
                opens_session: false,
            });
        }
        FetchContext::Incremental(IncrementalFetch { session_id, epoch })
    }

    /// Ends a full fetch: opens the session if the request wants one and there is room. `answers` are those of the request's
    /// partitions, in its order. Returns the id for the response, 0 for no session.
    pub fn create<'d>(
        &mut self,
        full: FullFetch,
        request: &FetchRequest<'_>,
        answers: impl IntoIterator<Item = &'d PartitionData<'d>>,
        now_ms: i64,
    ) -> i32 {
        if !full.opens_session {
            return SESSION_ID_NONE;
        }
        let size = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        if size > self.limits.partitions || !self.make_room(size, now_ms) {
            return SESSION_ID_NONE;
        }
        let mut session = FetchSession::new(full.uses_topic_ids, size, now_ms);
        if !update(&mut session, request, self.limits.partitions) {
            return SESSION_ID_NONE;
        }
        let mut answers = answers.into_iter();
        for topic in request.topics.iter() {
            let named = topic_of(full.uses_topic_ids, &topic.topic, topic.topic_id);
            for (partition, answer) in topic.partitions.iter().zip(&mut answers) {
                if let Some(slot) = session.find(named, PartitionIndex(partition.partition)) {
                    session.tell(slot, answer);
                }
            }
        }
        let session_id = self.new_id();
        self.partitions += session.len();
        self.sessions.insert(session_id, session);
        session_id
    }

    /// The partitions to serve, in order: those whose records were sent last come last. None at all if the session is gone.
    pub fn partitions(&self, turn: &IncrementalFetch) -> impl Iterator<Item = SessionPartition<'_>> {
        let session = self
            .sessions
            .get(&turn.session_id)
            .filter(|session| session.epoch == turn.epoch);
        session.into_iter().flat_map(FetchSession::iter)
    }

    /// Ends an incremental fetch. An error if the session was evicted or used by another request in between; then it is
    /// the answer, without partitions.
    pub fn finish(&mut self, turn: &IncrementalFetch) -> Result<Finishing<'_>, ErrorCode> {
        let session = self
            .sessions
            .get_mut(&turn.session_id)
            .ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != turn.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        Ok(Finishing { session })
    }

    pub(super) fn remove(&mut self, session_id: i32) {
        if let Some(session) = self.sessions.remove(&session_id) {
            self.partitions -= session.len();
        }
    }

    /// Makes room for a session of `size` partitions, as KIP-227 has it: a free slot, else that of the session longest
    /// unused if that is long, else that of the smallest one that is neither new nor as large as this.
    fn make_room(&mut self, size: usize, now_ms: i64) -> bool {
        while self.sessions.len() >= self.limits.slots || self.partitions + size > self.limits.partitions {
            let oldest = self
                .sessions
                .iter()
                .min_by_key(|(id, session)| (session.used_ms, **id));
            let stale = oldest.filter(|(_, session)| now_ms - session.used_ms > self.limits.eviction_ms);
            let smallest = || {
                let grown = self
                    .sessions
                    .iter()
                    .filter(|(_, session)| now_ms - session.created_ms > self.limits.eviction_ms);
                let smallest = grown.min_by_key(|(id, session)| (session.len(), **id));
                smallest.filter(|(_, session)| session.len() < size)
            };
            let Some((&evicted, _)) = stale.or_else(smallest) else {
                return false;
            };
            self.remove(evicted);
            self.evictions += 1;
        }
        true
    }

    /// An id no session has, hard to guess for other clients' mistakes (splitmix64).
    fn new_id(&mut self) -> i32 {
        loop {
            self.id_state = self.id_state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = self.id_state;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let place = ((bits ^ (bits >> 31)) % self.ids.len() as u64) as i32;
            let id = self.ids.start + place;
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }
}

/// An incremental fetch whose response is being put together.
#[derive(Debug)]
pub struct Finishing<'s> {
    session: &'s mut FetchSession,
}

impl Finishing<'_> {
    /// Whether the response must include the answer of a partition, which is remembered as sent.
    pub fn include(&mut self, slot: Slot, answer: &PartitionData<'_>) -> bool {
        self.session.answer(slot, answer)
    }
}

/// Applies what a request adds, changes and removes. False if it does not fit: more partitions than allowed, or a name that
/// cannot be a topic's.
fn update(session: &mut FetchSession, request: &FetchRequest<'_>, partitions_max: usize) -> bool {
    let by_id = session.uses_topic_ids();
    for topic in request.topics.iter() {
        if topic.topic.len() > TOPIC_NAME_BYTES_MAX {
            return false;
        }
        let named = topic_of(by_id, &topic.topic, topic.topic_id);
        for partition in topic.partitions.iter() {
            session.put(named, PartitionIndex(partition.partition), (&partition).into());
            if session.len() > partitions_max {
                return false;
            }
        }
    }
    for topic in request.forgotten_topics_data.iter() {
        let named = topic_of(by_id, &topic.topic, topic.topic_id);
        topic
            .partitions
            .iter()
            .for_each(|partition| session.forget(named, PartitionIndex(partition)));
    }
    true
}

fn topic_of(by_id: bool, name: &str, id: uuid::Uuid) -> FetchedTopic<'_> {
    if by_id {
        FetchedTopic::Id(TopicId(id))
    } else {
        FetchedTopic::Name(name)
    }
}

/// The epoch after this one; 0 and -1 have meanings of their own and are skipped.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(EPOCH_INITIAL + 1)
}
