//! What all members of a group together have processed and committed. It holds against them a record that nobody processed, one
//! that is not what was produced there, and one that was processed although that had been committed.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::harness::{Outcome, expect};

pub type Partition = (String, i32);
/// Where each partition goes on.
pub type Positions = BTreeMap<Partition, i64>;

pub fn value_of((topic, partition): &Partition, offset: i64) -> String {
    format!("{topic}/{partition}/{offset}")
}

/// Where a member says what it has processed and committed.
pub trait Account: Send + Sync {
    fn processed(&self, member: &str, at: &Partition, offset: i64, value: &str);
    fn committed(&self, positions: &Positions);
}

#[derive(Default)]
pub struct Ledger(Mutex<Book>);

#[derive(Default)]
struct Book {
    times: BTreeMap<Partition, BTreeMap<i64, u32>>,
    committed: Positions,
    violations: Vec<String>,
}

impl Account for Ledger {
    fn processed(&self, member: &str, at: &Partition, offset: i64, value: &str) {
        let mut book = self.0.lock().unwrap();
        let up_to = book.committed.get(at).copied().unwrap_or(0);
        if value != value_of(at, offset) {
            book.violations
                .push(format!("{member} got {value} at {at:?} {offset}"));
        }
        if offset < up_to {
            book.violations.push(format!(
                "{member} processed {at:?} {offset}, committed up to {up_to}"
            ));
        }
        *book
            .times
            .entry(at.clone())
            .or_default()
            .entry(offset)
            .or_default() += 1;
    }

    fn committed(&self, positions: &Positions) {
        let mut book = self.0.lock().unwrap();
        for (at, offset) in positions {
            let up_to = book.committed.entry(at.clone()).or_default();
            *up_to = (*up_to).max(*offset);
        }
    }
}

impl Ledger {
    /// Whether everything up to these ends is committed, or something is wrong already.
    pub fn covers(&self, ends: &Positions) -> bool {
        let book = self.0.lock().unwrap();
        !book.violations.is_empty()
            || ends
                .iter()
                .all(|(at, end)| book.committed.get(at).is_some_and(|up_to| up_to >= end))
    }

    /// All that was produced was processed; the answer counts what was processed again, never after a commit.
    pub fn verify(&self, ends: &Positions) -> Outcome<String> {
        let book = self.0.lock().unwrap();
        let violations = &book.violations;
        expect(
            violations.is_empty(),
            format_args!("{} violations: {:.500?}", violations.len(), violations.first()),
        )?;
        let (mut all, mut again) = (0, 0);
        for (at, end) in ends {
            for offset in 0..*end {
                let count = book.times.get(at).and_then(|here| here.get(&offset));
                expect(
                    count.is_some(),
                    format_args!("nobody processed {at:?} {offset} of {end}"),
                )?;
                all += 1;
                again += usize::from(count > Some(&1));
            }
        }
        Ok(format!("{all} records, {again} processed again"))
    }
}
