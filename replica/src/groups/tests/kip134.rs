//! KIP-134: the first rebalance of a group waits for more members.

use super::lab::{Lab, again};

#[test]
fn kip_134_an_empty_group_waits_for_the_initial_delay() {
    let mut lab = Lab::new();
    let request = lab.joining("g");
    let token = lab.join(&request);
    assert_eq!(lab.describe("g").state, "PreparingRebalance");
    lab.pass(2_999);
    assert!(lab.waiting.contains(&token));
    lab.pass(1);
    let joined = lab.joined(token);
    assert_eq!((joined.generation_id, joined.members.len()), (1, 1));
    assert_eq!(joined.leader, joined.member_id);
}

#[test]
fn kip_134_each_newcomer_extends_the_delay_up_to_the_rebalance_timeout() {
    let mut lab = Lab::new();
    let mut request = lab.joining("g");
    request.rebalance_timeout_ms = 7_000;
    let mut tokens = vec![lab.join(&request)];
    // Ends at 3 s, 6 s and 7 s: what is left is the rebalance timeout.
    for _ in 0..3 {
        lab.pass(2_000);
        tokens.push(lab.join(&request));
    }
    lab.pass(999);
    assert!(tokens.iter().all(|token| lab.waiting.contains(token)));
    lab.pass(1);
    for token in tokens {
        assert_eq!(lab.joined(token).generation_id, 1);
    }
}

#[test]
fn a_later_rebalance_ends_when_all_have_joined() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 2);
    let newcomer = lab.joining("g");
    let token = lab.join(&newcomer);
    let others: Vec<_> = joined
        .iter()
        .map(|joined| lab.join(&again(&newcomer, joined)))
        .collect();
    let last = lab.joined(token);
    assert_eq!(last.generation_id, 2);
    assert_eq!(last.leader, joined[0].member_id);
    for token in others {
        assert_eq!(lab.joined(token).generation_id, 2);
    }
}
