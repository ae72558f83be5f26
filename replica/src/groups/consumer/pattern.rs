//! Subscriptions by regular expression: which topics match, found by the coordinator (KIP-848).
//!
//! Kafka takes RE2's syntax, where an expression must match the whole name. So does this: classes such as `\w` are ASCII's,
//! unless the expression needs Unicode.
//!
//! Promises: an expression is bounded in length and compiled size, and matching takes time linear in the names; a step looks at
//! a bounded number of topics, and what is left is done by later steps; one compiled expression a group is held at most, and
//! only while it is being resolved.

use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

use super::record::Names;
use crate::metadata::MetadataImage;
use crate::re2::unquoted;

/// Longest expression, in bytes. A longer one is INVALID_REGULAR_EXPRESSION.
pub(crate) const PATTERN_BYTES_MAX: usize = 4_096;
/// Largest compiled expression, in bytes. A larger one is INVALID_REGULAR_EXPRESSION.
const PATTERN_COMPILED_BYTES_MAX: usize = 256 << 10;
/// Memory that matching may use to be fast, in bytes; without it it is slower.
const PATTERN_CACHE_BYTES_MAX: usize = 256 << 10;
/// Different expressions of a group. A member that brings one more is GROUP_MAX_SIZE_REACHED.
pub(crate) const PATTERNS_MAX: usize = 100;
/// Bytes of the names that the expressions of a group match, all together. Beyond that an expression matches nothing more.
const MATCHING_BYTES_MAX: usize = 8 << 20;
/// Topics that one step matches.
const TOPICS_PER_STEP: usize = 5_000;
/// What compiling an expression counts for, in topics.
const COMPILING_TOPICS: usize = 200;

/// How often expressions are resolved again when topics change, at most; in milliseconds (Kafka's).
pub(crate) const REFRESH_MS_MIN: i64 = 10_000;

/// Compiles an expression that has to match a whole name.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("it is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    let build = |pattern: &str, unicode: bool| {
        RegexBuilder::new(pattern)
            .unicode(unicode)
            .size_limit(PATTERN_COMPILED_BYTES_MAX)
            .dfa_size_limit(PATTERN_CACHE_BYTES_MAX)
            .build()
    };
    let pattern = &*unquoted(pattern);
    // First by itself, so that it can't close the group that is put around it.
    let unicode = build(pattern, false).is_err();
    let whole = format!(r"\A(?:{pattern})\z");
    build(pattern, unicode)
        .and_then(|_| build(&whole, unicode))
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!("it takes more than {PATTERN_COMPILED_BYTES_MAX} bytes when compiled")
            }
            // The parser draws where; only its last line says what.
            error => {
                let text = error.to_string();
                text.lines().last().unwrap_or_default().to_owned()
            }
        })
}

/// Expressions on their way to the topics that match them.
#[derive(Debug)]
pub(crate) struct Resolving {
    /// What is left of the bytes of names.
    bytes_left: usize,
    pending: Vec<Arc<str>>,
    current: Option<Walk>,
    done: Vec<(Arc<str>, Names)>,
}

/// One expression on its way through the topics, in the order of their names.
#[derive(Debug)]
struct Walk {
    pattern: Arc<str>,
    regex: Regex,
    matching: Vec<Arc<str>>,
    /// The last topic that was looked at.
    after: Option<Arc<str>>,
}

impl Resolving {
    /// `bytes_before` are those of the names that other expressions of the group match.
    pub(crate) const fn new(patterns: Vec<Arc<str>>, bytes_before: usize) -> Self {
        Self {
            bytes_left: MATCHING_BYTES_MAX.saturating_sub(bytes_before),
            pending: patterns,
            current: None,
            done: Vec::new(),
        }
    }

    /// Adds an expression, unless it is on its way.
    pub(crate) fn add(&mut self, pattern: &Arc<str>) {
        let walking = self.current.as_ref().map(|walk| &walk.pattern);
        let done = self.done.iter().map(|(pattern, _)| pattern);
        if !self
            .pending
            .iter()
            .chain(walking)
            .chain(done)
            .any(|known| known == pattern)
        {
            self.pending.push(Arc::clone(pattern));
        }
    }

    /// Goes on for a step; true if nothing is left to do.
    pub(crate) fn advance(&mut self, image: &MetadataImage) -> bool {
        let mut budget = TOPICS_PER_STEP;
        while budget > 0 {
            let mut walk = match self.current.take() {
                Some(walk) => walk,
                None => {
                    let Some(pattern) = self.pending.pop() else {
                        return true;
                    };
                    budget = budget.saturating_sub(COMPILING_TOPICS);
                    match compile(&pattern) {
                        Ok(regex) => Walk {
                            pattern,
                            regex,
                            matching: Vec::new(),
                            after: None,
                        },
                        // From the log of a broker with other bounds: it matches nothing here.
                        Err(_) => {
                            self.done.push((pattern, Arc::from([])));
                            continue;
                        }
                    }
                }
            };
            if walk.step(image, &mut budget, &mut self.bytes_left) {
                self.done.push((walk.pattern, walk.matching.into()));
            } else {
                self.current = Some(walk);
            }
        }
        self.current.is_none() && self.pending.is_empty()
    }

    /// The expressions with the names of the topics that match them, in order.
    pub(crate) fn finish(self) -> Vec<(Arc<str>, Names)> {
        self.done
    }
}

impl Walk {
    /// True if it came to the last topic.
    fn step(&mut self, image: &MetadataImage, budget: &mut usize, bytes_left: &mut usize) -> bool {
        let after = self.after.take();
        let topics = image
            .topics_from(after.as_deref().unwrap_or_default())
            .skip_while(|topic| after.as_ref() == Some(&topic.name));
        for topic in topics {
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            if topic.name.len() <= *bytes_left && self.regex.is_match(topic.name.as_bytes()) {
                *bytes_left -= topic.name.len();
                self.matching.push(Arc::clone(&topic.name));
            }
            self.after = Some(Arc::clone(&topic.name));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        compile(pattern).unwrap().is_match(name.as_bytes())
    }

    #[test]
    fn the_whole_name_has_to_match() {
        assert!(matches("foo.*", "foo-bar"));
        assert!(!matches("foo", "foo-bar"));
        assert!(!matches("bar", "foo-bar"));
        assert!(matches("foo|foo-bar", "foo-bar"), "each branch");
        assert!(matches(r"\w+-\d{2}", "orders-07"));
        assert!(matches("(?i)ORDERS.*", "orders-07"));
        assert!(matches("", "") && !matches("", "a"));
        assert!(matches(r"\p{L}+", "orders"), "needs Unicode");
        assert!(
            matches(r"\Qorders.eu\E-\d+", "orders.eu-7"),
            "as Pattern.quote writes"
        );
        assert!(!matches(r"\Qorders.eu\E-\d+", "orders-eu-7"));
        assert!(matches(r"\Qa)|(b", "a)|(b"), "to the end");
    }

    #[test]
    fn what_is_not_legal_or_too_large_is_refused() {
        for pattern in ["(", "a)|(b", "*", r"(?=a)", r"\1", "[z-a]"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
        for pattern in ["((a{100}){100}){100}", r"(\pL{50}){50}", &"a".repeat(5_000)] {
            assert!(compile(pattern).unwrap_err().contains("bytes"), "{pattern}");
        }
    }
}
