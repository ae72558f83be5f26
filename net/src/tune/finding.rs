//! What was found: what is, what should be, why, and how to get there and back.

use serde::Serialize;

/// Whether something should be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// It is as it should be.
    Good,
    /// It should be changed.
    Change,
    /// It depends on what else the machine does; never set.
    Consider,
    /// The kernel does not tell.
    Unknown,
}

/// Something to do that can be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Step {
    /// A file of the kernel is written.
    Write {
        path: String,
        before: String,
        after: String,
    },
    /// A command is run.
    Run { command: Vec<String>, undo: Vec<String> },
}

impl Step {
    /// The command line that does it.
    pub fn does(&self) -> String {
        match self {
            Step::Write { path, after, .. } => format!("echo {} > {}", quoted(after), quoted(path)),
            Step::Run { command, .. } => line(command),
        }
    }

    /// The command line that undoes it.
    pub fn undoes(&self) -> String {
        match self {
            Step::Write { path, before, .. } => format!("echo {} > {}", quoted(before), quoted(path)),
            Step::Run { undo, .. } => line(undo),
        }
    }
}

fn line(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_-.,:=+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What only a person can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ByHand {
    pub how: String,
    pub undo: String,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// A name for scripts, always the same.
    pub check: &'static str,
    /// Of what: cores, a device, a directory.
    pub subject: String,
    pub is: String,
    pub should: String,
    pub verdict: Verdict,
    pub why: &'static str,
    /// What sets it.
    pub steps: Vec<Step>,
    /// What a person can do, where nothing else can.
    pub by_hand: Option<ByHand>,
}

impl Finding {
    /// Something as it is and as it should be; it is good if they are the same.
    pub fn new(
        check: &'static str,
        subject: impl Into<String>,
        is: impl Into<String>,
        should: impl Into<String>,
        why: &'static str,
    ) -> Finding {
        let (is, should) = (is.into(), should.into());
        Finding {
            check,
            subject: subject.into(),
            verdict: if is == should {
                Verdict::Good
            } else {
                Verdict::Change
            },
            is,
            should,
            why,
            steps: Vec::new(),
            by_hand: None,
        }
    }

    /// Whether it is good, whatever the texts say.
    pub fn good_if(mut self, good: bool) -> Finding {
        self.verdict = if good { Verdict::Good } else { Verdict::Change };
        self
    }

    /// What is not good is only for consideration.
    pub fn only_to_consider(mut self) -> Finding {
        if self.verdict == Verdict::Change {
            self.verdict = Verdict::Consider;
        }
        self
    }

    /// The kernel does not tell.
    pub fn unknown(check: &'static str, subject: impl Into<String>, why: &'static str) -> Finding {
        Finding {
            verdict: Verdict::Unknown,
            ..Finding::new(check, subject, "not told by the kernel", "", why)
        }
    }

    /// Written like this, if it is not good.
    pub fn write(
        mut self,
        path: impl Into<String>,
        before: impl Into<String>,
        after: impl Into<String>,
    ) -> Finding {
        if self.verdict != Verdict::Good {
            self.steps.push(Step::Write {
                path: path.into(),
                before: before.into(),
                after: after.into(),
            });
        }
        self
    }

    /// Done by such a command, if it is not good.
    pub fn run(mut self, command: &[&str], undo: &[&str]) -> Finding {
        if self.verdict != Verdict::Good {
            let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
            self.steps.push(Step::Run {
                command: owned(command),
                undo: owned(undo),
            });
        }
        self
    }

    /// Done by a person, if it is not good.
    pub fn by_hand(mut self, how: impl Into<String>, undo: impl Into<String>) -> Finding {
        if self.verdict != Verdict::Good {
            self.by_hand = Some(ByHand {
                how: how.into(),
                undo: undo.into(),
            });
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, expected) in [
            ("/sys/a-b", "/sys/a-b"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$x", "'$x'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
