//! What happened, as lines; and a hash of all of them, so that two runs can be told to be the same.

use std::collections::VecDeque;
use std::fmt::{Arguments, Write};

use tautline_core::checksum;

/// Lines kept: the last ones tell why.
const LINES_KEPT: usize = 160;

/// The trace of a run.
#[derive(Debug, Default)]
pub(super) struct Trace {
    hash: u32,
    lines: VecDeque<String>,
    line: String,
}

impl Trace {
    pub fn say(&mut self, now_ns: u64, what: Arguments<'_>) {
        self.line.clear();
        let (ms, us) = (now_ns / 1_000_000, now_ns / 1_000 % 1_000);
        write!(self.line, "{ms:>6}.{us:03} ms  {what}").expect("a String takes everything");
        self.hash = checksum::crc32c_append(self.hash, self.line.as_bytes());
        if self.lines.len() == LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(self.line.clone());
    }

    pub fn hash(&self) -> u32 {
        self.hash
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}
