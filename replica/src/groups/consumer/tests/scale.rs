//! Groups of thousands of members: what they cost grows with their number, not with its square.

use std::time::Instant;

use super::*;

const MEMBERS: usize = 10_000;

/// A client that does what it is told at once.
struct Member {
    id: String,
    epoch: i32,
    owned: PartitionSet,
}

impl Member {
    fn take(&mut self, told: &ConsumerHeartbeat) {
        assert_eq!(told.error, ErrorCode::None, "{told:?}");
        self.epoch = told.member_epoch;
        if let Some(owned) = assigned(told) {
            self.owned = owned;
        }
    }

    fn heartbeat(&mut self, fixture: &mut Fixture) {
        let told = fixture.heartbeat(owning(&self.id, self.epoch, &self.owned));
        self.take(&told);
    }
}

/// All are heard of every five seconds, until each has as much as it is to have.
fn settle(fixture: &mut Fixture, members: &mut [Member], partitions: usize) -> usize {
    for round in 1..=20 {
        fixture.advance(5_000);
        members.iter_mut().for_each(|member| member.heartbeat(fixture));
        let share = partitions / members.len();
        if members.iter().all(|member| member.owned.len() == share) && fixture.describe().state == "Stable" {
            return round;
        }
    }
    panic!("the group does not come to rest")
}

#[test]
fn ten_thousand_members_come_and_half_of_them_go() {
    let mut fixture = Fixture::new();
    fixture.create_topic("t", MEMBERS as u32);
    let began = Instant::now();
    let mut members = Vec::new();
    for index in 0..MEMBERS {
        // Two thousand a second.
        fixture.advance((index % 2) as i64);
        let mut member = Member {
            id: format!("member-{index:05}-0123-456789abcdef"),
            epoch: 0,
            owned: PartitionSet::EMPTY,
        };
        let told = fixture.heartbeat(joining(&member.id, &["t"]));
        member.take(&told);
        members.push(member);
    }
    eprintln!("joined in {:?}", began.elapsed());
    let assignments = |fixture: &Fixture| {
        let records = fixture.records_since(0).into_iter();
        records
            .filter(|record| matches!(record, ConsumerRecord::TargetEpoch(Some(_))))
            .count()
    };
    assert!(assignments(&fixture) < 100, "assigned for each that came");
    let rounds = settle(&mut fixture, &mut members, MEMBERS);
    eprintln!(
        "settled after {rounds} heartbeats of each in {:?}",
        began.elapsed()
    );

    let before = assignments(&fixture);
    let began = Instant::now();
    let staying = members.split_off(MEMBERS / 2);
    for (index, member) in members.iter().enumerate() {
        fixture.advance((index % 2) as i64);
        assert_eq!(fixture.heartbeat(quiet(&member.id, -1)).error, ErrorCode::None);
    }
    let mut members = staying;
    let rounds = settle(&mut fixture, &mut members, MEMBERS);
    eprintln!(
        "half left, {rounds} heartbeats of each later settled in {:?}",
        began.elapsed()
    );
    assert!(assignments(&fixture) - before < 100);
    // The wall clock may be set back.
    fixture.ahead_ms -= 3_600_000;
    fixture.advance(5_000);
    let epoch = fixture.group().target_epoch;
    fixture.heartbeat(joining("newcomer", &["t"]));
    assert!(fixture.group().target_epoch > epoch);
}
