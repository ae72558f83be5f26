//! A node of the cluster: the real state machines, a disk, and what net and store will do around them.

use std::collections::BTreeMap;
use std::rc::Rc;

use tautline_core::batch::{Batch, patch_position};
use tautline_core::ids::{LeaderEpoch, NodeId, Offset};

use super::client::{Answer, Ask, Request};
use super::disk::{Disk, DiskWrite};
use super::judge::Judge;
use super::log::{Log, Stored};
use super::producers::{Check, Producers};
use crate::quorum::frame::{self, Frame};
use crate::quorum::{
    BatchDescriptor, BytesAt, Event, GroupId, Message, Node, QuorumState, Random, Read, Replica, Settings,
    Write,
};

/// A producer that waits for its acknowledgement.
#[derive(Debug)]
struct Waiting {
    client: usize,
    number: u64,
    epoch: LeaderEpoch,
    all: bool,
    ends: Vec<Offset>,
}

/// A partition of a node.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub log: Log,
    producers: Producers,
    waiting: Vec<Waiting>,
    reads: BTreeMap<u64, Request>,
    durable: Offset,
    acknowledged: Offset,
    /// What the judge was told last.
    pub judged: Offset,
    /// The log below may go.
    pub settled: Offset,
}

/// An answer on its way, and which node gives it.
pub(super) type Answers = Vec<(usize, u64, Answer)>;

/// See the module.
pub(super) struct Host {
    pub id: NodeId,
    pub incarnation: u64,
    pub up: bool,
    pub paused_until_ns: u64,
    clock_ahead_ns: u64,
    clock_permille: u64,
    pub node: Node,
    pub disk: Disk,
    pub parts: BTreeMap<GroupId, Part>,
    pub random: Random,
    pub turn_is_due: bool,
    frames: u64,
    attached: BTreeMap<u64, Rc<[u8]>>,
    settings: Settings,
    everybody: Vec<NodeId>,
    pub failed: bool,
}

impl Host {
    pub fn new(id: NodeId, everybody: &[NodeId], settings: Settings, mut random: Random) -> Self {
        Self {
            id,
            incarnation: 0,
            up: false,
            paused_until_ns: 0,
            clock_ahead_ns: random.below(1 << 40),
            clock_permille: random.between(970, 1_030),
            node: Node::new(id, everybody, 0),
            disk: Disk::default(),
            parts: BTreeMap::new(),
            random,
            turn_is_due: false,
            frames: 0,
            attached: BTreeMap::new(),
            settings,
            everybody: everybody.to_vec(),
            failed: false,
        }
    }

    /// Its own monotonic clock, which is nobody else's and goes on while it is stopped.
    pub fn clock_ns(&self, now_ns: u64) -> u64 {
        self.clock_ahead_ns + (u128::from(now_ns) * u128::from(self.clock_permille) / 1_000) as u64
    }

    /// How long a time of its own clock is.
    pub fn lasts_ns(&self, own_ns: u64) -> u64 {
        own_ns * 1_000 / self.clock_permille + 1
    }

    /// Gives a group a place on the disk, with what it begins with.
    pub fn place(&mut self, group: GroupId, state: QuorumState) {
        self.disk.durable.entry(group).or_default().state = state;
    }

    /// Starts from the disk.
    pub fn start(&mut self, now_ns: u64, judge: &Judge) {
        self.incarnation += 1;
        (self.up, self.failed, self.turn_is_due) = (true, false, false);
        self.paused_until_ns = 0;
        self.node = Node::new(self.id, &self.everybody, self.clock_ns(now_ns));
        self.parts.clear();
        self.attached.clear();
        let groups: Vec<_> = self.disk.durable.keys().copied().collect();
        for group in groups {
            self.recover(group, judge);
        }
    }

    /// Takes a group from the disk.
    pub fn recover(&mut self, group: GroupId, judge: &Judge) {
        let seed = self.random.next_u64();
        let there = self.disk.durable.get_mut(&group).expect("it has a place");
        let found = there.log.batches().iter().map(|stored| stored.found);
        let replica = Replica::recover(self.id, group, self.settings, there.state.clone(), found, seed);
        let end = replica.end_offset();
        if there.log.start > end {
            there.log.at_start = judge.producers_at(group, end);
        }
        there.log.cut(end);
        let log = there.log.clone();
        let producers = Producers::of(&log.at_start, log.batches());
        let settled = there.state.anchor.offset;
        self.node.add(replica);
        self.parts.insert(
            group,
            Part {
                log,
                producers,
                settled,
                ..Part::default()
            },
        );
    }

    /// A frame has come.
    pub fn receive(&mut self, head: &[u8], attached: &Rc<[u8]>, now_ns: u64) {
        let Ok(Frame {
            from,
            to,
            messages,
            attached_bytes,
        }) = frame::decode(head)
        else {
            return;
        };
        if to != self.id || attached_bytes != attached.len() as u64 {
            return;
        }
        self.frames += 1;
        let (mut at, mut places) = (0, Vec::new());
        for found in messages.iter().flat_map(|message| message.body.attached()) {
            let range = at..at + found.batch.size_bytes as usize;
            at = range.end;
            if found.batch.check(found.epoch, &attached[range.clone()]).is_err() {
                return;
            }
            places.push(BytesAt::Frame(self.frames, range));
        }
        self.attached.insert(self.frames, Rc::clone(attached));
        let clock_ns = self.clock_ns(now_ns);
        self.node.receive(from, &messages, places, clock_ns);
    }

    /// A client asks.
    pub fn ask(&mut self, request: Request, now_ns: u64, answers: &mut Answers) {
        let (client, number) = (request.client, request.number);
        let clock_ns = self.clock_ns(now_ns);
        let (Some(replica), Some(part)) = (
            self.node.group_mut(request.group),
            self.parts.get_mut(&request.group),
        ) else {
            return answers.push((client, number, Answer::NotLeader(None)));
        };
        match &request.ask {
            Ask::Produce { batches, all } => {
                if let Some(answer) = part.produce(replica, &request, batches, *all, clock_ns) {
                    answers.push((client, number, answer));
                }
                part.answer_producers(answers);
            }
            Ask::Fetch { from } => match replica.read(clock_ns) {
                Read::Now(high_watermark) => {
                    answers.push((client, number, part.fetch(*from, high_watermark)))
                }
                Read::Later(read) => {
                    part.reads.insert(read, request);
                }
                Read::Refused(_) => answers.push((client, number, Answer::NotLeader(replica.leader().0))),
            },
        }
    }

    /// Puts writes in effect in memory, and gives them with their bytes.
    pub fn write(&mut self, writes: Vec<(GroupId, Write)>, judge: &Judge) -> Vec<DiskWrite> {
        let mut resolved = Vec::new();
        for (group, write) in writes {
            let part = self.parts.get_mut(&group).expect("a group that writes is here");
            let bytes = match &write {
                Write::Append {
                    batch,
                    bytes: BytesAt::Own,
                    ..
                } => {
                    let stored = part
                        .log
                        .find(batch.base_offset)
                        .expect("its leader has put it there");
                    Some(Rc::clone(&stored.bytes))
                }
                Write::Append {
                    epoch,
                    bytes: BytesAt::Frame(number, range),
                    ..
                } => {
                    let mut bytes = self.attached[number][range.clone()].to_vec();
                    let base = Batch::parse(&bytes).expect("it was checked").0.base_offset();
                    patch_position(&mut bytes, base, *epoch);
                    Some(bytes.into())
                }
                _ => None,
            };
            let producers = match &write {
                Write::ResetLog(to) => Some(judge.producers_at(group, *to)),
                _ => None,
            };
            part.note(&write, bytes.as_ref(), producers.as_ref());
            resolved.push(DiskWrite {
                group,
                write,
                bytes,
                producers,
            });
        }
        self.attached.clear();
        resolved
    }

    /// What goes to a peer: the frame and the batches beside it. A message whose batches are gone is not sent.
    pub fn frame(&self, to: NodeId, mut messages: Vec<Message>) -> (Vec<u8>, Vec<u8>) {
        let mut attached = Vec::new();
        messages.retain(|message| {
            let mut own = Vec::new();
            let there = message.body.attached().all(|found| {
                let stored = self
                    .parts
                    .get(&message.group)
                    .and_then(|part| part.log.find(found.batch.base_offset));
                let same = stored.filter(|stored| stored.found == found);
                same.inspect(|stored| own.extend_from_slice(&stored.bytes))
                    .is_some()
            });
            if there {
                attached.append(&mut own);
            }
            there
        });
        (frame::encode(self.id, to, &messages), attached)
    }

    /// Takes what a turn tells of one group, but for what the judge sees.
    pub fn event(&mut self, group: GroupId, event: &Event, answers: &mut Answers) {
        let part = self.parts.get_mut(&group).expect("a group that tells is here");
        match event {
            Event::Leadership { epoch, leader } => part.leadership(*epoch, *leader, answers),
            Event::Durable(offset) => part.durable = *offset,
            Event::Acknowledged(offset) => part.acknowledged = *offset,
            Event::Settled(offset) => part.settled = *offset,
            Event::ReadReady(read, high_watermark) => {
                if let Some(request) = part.reads.remove(read)
                    && let Ask::Fetch { from } = request.ask
                {
                    answers.push((request.client, request.number, part.fetch(from, *high_watermark)));
                }
            }
            Event::CopyAsked { peer, from, to } => {
                let start = (*from).max(part.log.start);
                // Bounded by bytes on a real node.
                let some: Vec<_> = part
                    .log
                    .from(start)
                    .iter()
                    .take_while(|stored| stored.end_offset() <= *to)
                    .take(8)
                    .collect();
                let end = some.last().map_or(start, |stored| stored.end_offset());
                let found = some.iter().map(|stored| stored.found).collect();
                if start <= *to {
                    self.node.copied(group, *peer, start, end, found);
                }
                return;
            }
            Event::HighWatermark(_) | Event::InSync(_) | Event::Replicas(_) => {}
        }
        part.answer_producers(answers);
    }
}

impl Part {
    /// Appends what is new; gives an answer unless the producer waits for its acknowledgement.
    fn produce(
        &mut self,
        replica: &mut Replica,
        request: &Request,
        batches: &[Rc<[u8]>],
        all: bool,
        clock_ns: u64,
    ) -> Option<Answer> {
        let Some(epoch) = replica.leads() else {
            return Some(Answer::NotLeader(replica.leader().0));
        };
        if all && !replica.has_enough_in_sync(clock_ns) {
            return Some(Answer::Retry);
        }
        let (mut ends, mut refused) = (Vec::new(), None);
        for bytes in batches {
            let (batch, _) = Batch::parse(bytes).expect("clients are sound");
            match self.producers.check(&batch) {
                Check::New => {}
                Check::Duplicate(end) => {
                    ends.push(end);
                    continue;
                }
                Check::OutOfOrder => refused = Some(Answer::OutOfOrder),
                Check::Fenced => refused = Some(Answer::Fenced),
            }
            if let Err(why) = replica.can_append() {
                let _ = why.error_code();
                refused = refused.or(Some(Answer::Retry));
            }
            if refused.is_some() {
                break;
            }
            let mut bytes = bytes.to_vec();
            patch_position(&mut bytes, replica.next_offset(), epoch);
            let stored = Stored::new(bytes.into());
            replica
                .propose(BatchDescriptor::of(&stored.batch()))
                .expect("it was asked");
            ends.push(stored.end_offset());
            self.producers.note(&stored);
            self.log.append(stored);
        }
        if ends.is_empty() {
            return refused;
        }
        self.waiting.push(Waiting {
            client: request.client,
            number: request.number,
            epoch,
            all,
            ends,
        });
        None
    }

    fn fetch(&self, from: Offset, high_watermark: Offset) -> Answer {
        if from < self.log.start {
            return Answer::OutOfRange(self.log.start);
        }
        let batches = self
            .log
            .from(from)
            .iter()
            .take_while(|stored| stored.end_offset() <= high_watermark)
            .take(20);
        Answer::Fetched {
            batches: batches.cloned().collect(),
            high_watermark,
        }
    }

    fn leadership(&mut self, epoch: LeaderEpoch, leader: Option<NodeId>, answers: &mut Answers) {
        for waiting in self.waiting.extract_if(.., |waiting| waiting.epoch != epoch) {
            // Its outcome is not known.
            answers.push((waiting.client, waiting.number, Answer::NotLeader(leader)));
        }
        for (_, request) in std::mem::take(&mut self.reads) {
            answers.push((request.client, request.number, Answer::NotLeader(leader)));
        }
        (self.durable, self.acknowledged) = (Offset(0), Offset(0));
    }

    fn answer_producers(&mut self, answers: &mut Answers) {
        let (durable, acknowledged) = (self.durable, self.acknowledged);
        let done = self.waiting.extract_if(.., |waiting| {
            let reached = if waiting.all { acknowledged } else { durable };
            waiting.ends.iter().all(|end| *end <= reached)
        });
        answers.extend(done.map(|waiting| (waiting.client, waiting.number, Answer::Produced(waiting.ends))));
    }

    /// A write, in memory: a leader's own batches are there since they were proposed.
    fn note(&mut self, write: &Write, bytes: Option<&Rc<[u8]>>, producers: Option<&Producers>) {
        if matches!(
            write,
            Write::Append {
                bytes: BytesAt::Own,
                ..
            }
        ) {
            return;
        }
        self.log.apply(write, bytes, producers);
        match write {
            Write::TruncateLog(_) | Write::ResetLog(_) if !planted!(ProducersNotRolledBack) => {
                self.producers = Producers::of(&self.log.at_start, self.log.batches());
            }
            Write::Append { .. } if !planted!(ProducersNotReplicated) => {
                let stored = self.log.batches().last().expect("it was just appended").clone();
                self.producers.note(&stored);
            }
            _ => {}
        }
    }
}
