//! DescribeTransactions and ListTransactions: KIP-664, KIP-994, KIP-1152.

use std::sync::Arc;

use tautline_core::error::ErrorCode::{InvalidRegularExpression, InvalidRequest, TransactionalIdNotFound};
use tautline_core::ids::ProducerId;

use super::host::{Answer, Host, TIMEOUT_MS, V0, code, partition, producer};
use crate::transactions::{
    ListTransactions, Pattern, TransactionDescription, TransactionRequest, TransactionResponse,
    TransactionState,
};

fn describe(host: &mut Host, id: &str) -> Answer<TransactionDescription> {
    let transactional_id = Arc::from(id);
    match host.ask(TransactionRequest::DescribeTransactions { transactional_id }) {
        TransactionResponse::DescribeTransactions(result) => code(result),
        other => panic!("{other:?}"),
    }
}

fn list(host: &mut Host, filter: ListTransactions) -> Vec<String> {
    match host.ask(TransactionRequest::ListTransactions(filter)) {
        TransactionResponse::ListTransactions(listed) => listed
            .into_iter()
            .map(|listing| listing.transactional_id.to_string())
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn kip664_a_transaction_is_described() {
    let mut host = Host::new();
    assert_eq!(describe(&mut host, "t"), Err(TransactionalIdNotFound));
    assert_eq!(describe(&mut host, ""), Err(InvalidRequest));
    let holder = host.init("t", None).expect("new");
    assert_eq!(
        describe(&mut host, "t").map(|described| described.start_ms),
        Ok(-1)
    );
    host.now_ms += 5;
    host.begin("t", holder, V0);
    let described = TransactionDescription {
        state: TransactionState::Ongoing,
        producer: holder,
        timeout_ms: TIMEOUT_MS,
        start_ms: 1_000_005,
        partitions: vec![partition("orders", 0)],
    };
    assert_eq!(describe(&mut host, "t"), Ok(described));
    host.end("t", holder, true, V0).expect("ongoing");
    host.write_markers();
    let described = describe(&mut host, "t").expect("it is there");
    assert_eq!(
        (described.start_ms, described.partitions),
        (1_000_005, Vec::new())
    );
    host.init("t", None).expect("complete");
    assert_eq!(
        describe(&mut host, "t").map(|described| described.start_ms),
        Ok(-1)
    );
}

#[test]
fn kip664_kip994_kip1152_transactions_are_listed_by_filters() {
    let mut host = Host::new();
    let first = host.init("a-1", None).expect("new");
    let second = host.init("a-2", None).expect("new");
    host.init("b-1", None).expect("new");
    host.begin("a-1", first, V0);
    host.now_ms += 1_000;
    host.begin("a-2", second, V0);

    assert_eq!(
        list(&mut host, ListTransactions::default()),
        ["a-1", "a-2", "b-1"]
    );
    let states = |states: &[TransactionState]| ListTransactions {
        states: Some(states.to_vec()),
        ..ListTransactions::default()
    };
    assert_eq!(
        list(&mut host, states(&[TransactionState::Ongoing])),
        ["a-1", "a-2"]
    );
    assert_eq!(list(&mut host, states(&[TransactionState::Empty])), ["b-1"]);
    assert!(
        list(&mut host, states(&[])).is_empty(),
        "only names that are no state"
    );
    let producers = ListTransactions {
        producer_ids: Some(vec![second.id, ProducerId(9)]),
        ..ListTransactions::default()
    };
    assert_eq!(list(&mut host, producers), ["a-2"]);
    let longer = |longer_than_ms| ListTransactions {
        longer_than_ms: Some(longer_than_ms),
        states: Some(vec![TransactionState::Ongoing]),
        ..ListTransactions::default()
    };
    assert_eq!(list(&mut host, longer(999)), ["a-1"]);
    assert!(list(&mut host, longer(1_000)).is_empty());
    let pattern = |text| ListTransactions {
        pattern: Some(Pattern::new(text).expect("a pattern")),
        ..ListTransactions::default()
    };
    assert_eq!(list(&mut host, pattern("a-.*")), ["a-1", "a-2"]);
    assert_eq!(list(&mut host, pattern("a-1|b-1")), ["a-1", "b-1"]);
    assert_eq!(list(&mut host, pattern(r"\Qa-\E\d")), ["a-1", "a-2"]);
    assert!(
        list(&mut host, pattern("a")).is_empty(),
        "the whole name has to match"
    );
}

#[test]
fn kip1152_bad_patterns_are_refused() {
    for text in ["(", "a)|(b", "a{1000}{1000}", &"(".repeat(10_000)] {
        assert_eq!(
            code(Pattern::new(text).map(drop)),
            Err(InvalidRegularExpression),
            "{text:.20}"
        );
    }
}

#[test]
fn states_have_kafkas_names_and_numbers() {
    for (number, state) in TransactionState::ALL.into_iter().enumerate() {
        assert_eq!(state.id(), number as i8);
        assert_eq!(TransactionState::from_id(state.id()), Some(state));
        assert_eq!(TransactionState::from_name(state.name()), Some(state));
    }
    assert_eq!(TransactionState::from_id(8), None);
    assert_eq!(TransactionState::from_id(-1), None);
    assert_eq!(TransactionState::from_name("ongoing"), None);
    assert_eq!(producer(1, 2).epoch.0, 2);
}
