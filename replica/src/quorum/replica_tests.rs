//! What a replica does by itself; clusters are the simulator's.

use super::*;
use crate::quorum::entry::{Body, Entry};
use crate::quorum::event::{Event, Output};

const NODES: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

fn recovered(voters: &[NodeId]) -> Replica {
    let state = QuorumState::bootstrap(voters);
    Replica::recover(NODES[0], GroupId::default(), Settings::default(), state, [], 7)
}

fn vote() -> Message {
    let body = MessageBody::Vote {
        pre: false,
        transfer: false,
        last_index: 9,
        last_epoch: LeaderEpoch(2),
        commit: (1, LeaderEpoch(1)),
    };
    Message {
        group: GroupId::default(),
        term: 3,
        body,
    }
}

/// It may have promised a leader, before it restarted, not to vote for another.
#[test]
fn a_replica_is_silent_after_a_restart() {
    let mut replica = recovered(&NODES);
    let mut out = Output::default();
    for _ in 0..ELECTION_TICKS {
        replica.step(NODES[1], &vote(), Vec::new());
        replica.tick(0);
        assert_eq!(
            replica.drain(0, &mut out),
            None,
            "nothing to write, and nothing to say"
        );
        assert!(out.messages.is_empty());
    }
    replica.tick(0);
    replica.step(NODES[1], &vote(), Vec::new());
    let ticket = replica.drain(0, &mut out).expect("a vote is written down");
    assert!(out.messages.is_empty(), "before it is given");
    replica.persisted(ticket, &mut out);
    let given = MessageBody::VoteResponse {
        pre: false,
        granted: true,
        commit: (0, LeaderEpoch(0)),
    };
    assert_eq!(
        out.messages,
        [(
            NODES[1],
            Message {
                group: GroupId::default(),
                term: 3,
                body: given
            }
        )]
    );
}

/// One voter is a cluster of one: it leads when its start of an epoch is durable, without a message.
#[test]
fn one_voter_leads_by_itself() {
    let mut replica = recovered(&NODES[..1]);
    let mut out = Output::default();
    let ticket = replica.drain(0, &mut out).expect("the epoch is written down");
    assert_eq!(replica.read(0), Read::Refused(Refused::NotYet));
    replica.persisted(ticket, &mut out);
    replica.drain(0, &mut out);
    assert_eq!(replica.read(0), Read::Now(Offset(0)));
    let batch = BatchDescriptor {
        base_offset: Offset(0),
        last_offset: Offset(4),
        size_bytes: 99,
        crc: 1,
    };
    replica.propose(batch).unwrap();
    assert_eq!(replica.next_offset(), Offset(5));
    let ticket = replica.drain(0, &mut out).expect("a batch is written");
    assert!(
        !out.events
            .contains(&(GroupId::default(), Event::HighWatermark(Offset(5)))),
        "not before it is durable"
    );
    replica.persisted(ticket, &mut out);
    replica.drain(0, &mut out);
    for event in [
        Event::HighWatermark(Offset(5)),
        Event::Durable(Offset(5)),
        Event::Acknowledged(Offset(5)),
    ] {
        assert!(out.events.contains(&(GroupId::default(), event)));
    }
    assert!(out.messages.is_empty());
}

/// A peer's mistakes reach raft's assertions never.
#[test]
fn what_cannot_be_is_not_admitted() {
    let mut replica = recovered(&NODES);
    let mut out = Output::default();
    let group = GroupId::default();
    let batch = BatchDescriptor {
        base_offset: Offset(5),
        last_offset: Offset(6),
        size_bytes: 99,
        crc: 1,
    };
    let entry = Entry {
        index: 2,
        epoch: LeaderEpoch(2),
        body: Body::Batch(batch),
    };
    let (prev_index, prev_epoch) = (1, LeaderEpoch(1));
    for body in [
        MessageBody::Heartbeat {
            commit: 50,
            sent_ns: 1,
            read: 0,
        },
        MessageBody::Append {
            prev_index,
            prev_epoch,
            commit: 50,
            entries: vec![entry],
        },
        MessageBody::AppendResponse {
            index: 50,
            commit: 50,
            hint: None,
        },
    ] {
        replica.step(NODES[1], &Message { group, term: 2, body }, vec![BytesAt::Own]);
        assert_eq!(replica.drain(0, &mut out), None);
        assert!(out.messages.is_empty(), "{:?}", out.messages);
    }
}
