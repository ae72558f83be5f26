//! One configuration: its name, type, default, what it may say, and the sentence that explains it.

use tautline_core::error::ErrorCode;
use tautline_replica::Refusal;

/// Type of a value, as DescribeConfigs tells it (KIP-569).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Kind {
    /// `true` or `false`.
    Boolean = 1,
    /// Text.
    String = 2,
    /// A 32-bit integer.
    Int = 3,
    /// A 16-bit integer.
    Short = 4,
    /// A 64-bit integer.
    Long = 5,
    /// A number with a fraction.
    Double = 6,
    /// Texts with commas between them.
    List = 7,
}

/// What a value may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Anything.
    Any,
    /// `true` or `false`, in any case.
    Flag,
    /// An integer of that range, both ends included.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// A number from 0 to 1, both included.
    Ratio,
    /// A number above 0, with or without a fraction.
    Positive,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Some of these words, at least one, none twice, with commas between them.
    SomeOf(&'static [&'static str]),
    /// Kafka knows more values; this broker honours one.
    Only {
        /// The one.
        value: &'static str,
        /// Why no other, for the refusal.
        why: &'static str,
    },
}

/// When a broker configuration can be changed. Topic configurations always can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// While the broker runs, for one broker or for all.
    Dynamic,
    /// At start.
    ReadOnly,
    /// At start, and by a flag of its own.
    ByFlag(&'static str),
}

/// One configuration.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Type of its value.
    pub kind: Kind,
    /// Its value where nothing is set, `None` for none.
    pub default: Option<&'static str>,
    /// What it may say.
    pub check: Check,
    /// Broker configurations that stand for it where it is not set itself, nearest first, each with how many of this one's
    /// units one of theirs is.
    pub synonyms: &'static [(&'static str, i64)],
    /// When it can be changed.
    pub update: Update,
    /// A sentence for a person.
    pub documentation: &'static str,
}

impl Definition {
    /// A configuration that can be changed while the broker runs.
    pub(super) const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        check: Check,
        documentation: &'static str,
    ) -> Self {
        let default = Some(default);
        Self {
            name,
            kind,
            default,
            check,
            synonyms: &[],
            update: Update::Dynamic,
            documentation,
        }
    }

    pub(super) const fn synonyms(mut self, synonyms: &'static [(&'static str, i64)]) -> Self {
        self.synonyms = synonyms;
        self
    }

    pub(super) const fn without_default(mut self) -> Self {
        self.default = None;
        self
    }

    pub(super) const fn read_only(mut self) -> Self {
        self.update = Update::ReadOnly;
        self
    }

    pub(super) const fn by_flag(mut self, flag: &'static str) -> Self {
        self.update = Update::ByFlag(flag);
        self
    }

    /// Whether it can't be changed while the broker runs.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        !matches!(self.update, Update::Dynamic)
    }

    /// Checks a value.
    ///
    /// # Errors
    /// [`ConfigError::Illegal`] with what would be legal.
    pub fn check(&self, value: &str) -> Result<(), ConfigError> {
        let text = value.trim();
        let legal = match self.check {
            Check::Any => true,
            Check::Flag => parse_flag(text).is_some(),
            Check::Integer { min, max } => text
                .parse::<i64>()
                .is_ok_and(|number| (min..=max).contains(&number)),
            Check::Ratio => parse_number(text).is_some_and(|number| (0.0..=1.0).contains(&number)),
            Check::Positive => parse_number(text).is_some_and(|number| number > 0.0),
            Check::OneOf(words) => words.contains(&text),
            Check::SomeOf(words) => {
                let mut chosen: Vec<&str> = list(text).collect();
                let legal = chosen.iter().all(|word| words.contains(word));
                let count = chosen.len();
                chosen.sort_unstable();
                chosen.dedup();
                legal && chosen.len() == count
            }
            Check::Only { value, .. } if self.kind == Kind::Boolean => text.eq_ignore_ascii_case(value),
            Check::Only { value, .. } => text == value,
        };
        if legal {
            return Ok(());
        }
        Err(ConfigError::Illegal {
            name: self.name,
            value: value.to_owned(),
            legal: self.legal(),
        })
    }

    fn legal(&self) -> String {
        match self.check {
            Check::Any => "anything is legal".to_owned(),
            Check::Flag => "legal are true and false".to_owned(),
            Check::Integer { min, max: i64::MAX } => format!("legal are integers from {min}"),
            Check::Integer { min, max } => format!("legal are integers from {min} to {max}"),
            Check::Ratio => "legal are numbers from 0 to 1".to_owned(),
            Check::Positive => "legal are numbers above 0".to_owned(),
            Check::OneOf(words) => format!("legal are {}", words.join(", ")),
            Check::SomeOf(words) => format!("legal are lists of {}", words.join(", ")),
            Check::Only { value, why } => format!("only {value} is supported: {why}"),
        }
    }
}

pub(super) fn parse_flag(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The words of a list, which has commas between them.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

pub(super) fn parse_number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The definition of that name in a table in name order.
pub(super) fn find(table: &'static [Definition], name: &str) -> Option<&'static Definition> {
    table
        .binary_search_by(|definition| definition.name.cmp(name))
        .ok()
        .map(|index| &table[index])
}

/// Why something can't be configured so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such name.
    #[error("there is no {level} configuration named '{name}'")]
    Unknown {
        /// "topic", "group" or "broker".
        level: &'static str,
        /// The name.
        name: String,
    },
    /// Kafka has it, this broker does not honour it.
    #[error("the {level} configuration '{name}' is not supported by this broker: {why}")]
    NotSupported {
        /// "topic" or "broker".
        level: &'static str,
        /// The name.
        name: String,
        /// Why, or what does it here.
        why: &'static str,
    },
    /// A value it can't have.
    #[error("'{value}' is not a legal value of '{name}': {legal}")]
    Illegal {
        /// The name.
        name: &'static str,
        /// The value.
        value: String,
        /// What would be.
        legal: String,
    },
    /// A value that does not go with that of another name.
    #[error("'{name}' is {value}, {relation} '{other}', which is {bound}: change one of the two")]
    Unfit {
        /// The name.
        name: &'static str,
        /// Its value.
        value: i64,
        /// "less than", for example.
        relation: &'static str,
        /// The other name.
        other: &'static str,
        /// The other's value.
        bound: i64,
    },
    /// It can't be changed at run time.
    #[error("'{name}' can't be changed while the broker runs: start it with --set {name}=VALUE")]
    ReadOnly {
        /// The name.
        name: &'static str,
    },
    /// A flag of its own sets it.
    #[error("'{name}' is set by {flag}")]
    ByFlag {
        /// The name.
        name: &'static str,
        /// The flag.
        flag: &'static str,
    },
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        let code = match error {
            ConfigError::ReadOnly { .. } | ConfigError::ByFlag { .. } => ErrorCode::InvalidRequest,
            _ => ErrorCode::InvalidConfig,
        };
        let mut message = error.to_string();
        // A sentence.
        message[..1].make_ascii_uppercase();
        message.push('.');
        Self::new(code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_know_their_ranges() {
        let int = Definition::new("i", Kind::Int, "1", Check::Integer { min: 1, max: 9 }, "");
        for (value, legal) in [
            ("1", true),
            (" 9 ", true),
            ("0", false),
            ("10", false),
            ("x", false),
            ("", false),
        ] {
            assert_eq!(int.check(value).is_ok(), legal, "{value:?}");
        }
        let ratio = Definition::new("r", Kind::Double, "0.5", Check::Ratio, "");
        for (value, legal) in [
            ("0", true),
            ("0.25", true),
            ("1.0", true),
            ("1.1", false),
            ("-0.1", false),
            ("NaN", false),
        ] {
            assert_eq!(ratio.check(value).is_ok(), legal, "{value:?}");
        }
        let rate = Definition::new("p", Kind::Double, "1.7976931348623157E308", Check::Positive, "");
        for (value, legal) in [
            ("1.7976931348623157E308", true),
            ("0.5", true),
            ("0", false),
            ("inf", false),
        ] {
            assert_eq!(rate.check(value).is_ok(), legal, "{value:?}");
        }
        let some = Definition::new("s", Kind::List, "a", Check::SomeOf(&["a", "b"]), "");
        for (value, legal) in [
            ("a", true),
            ("b, a", true),
            ("", false),
            ("a,a", false),
            ("a,c", false),
            ("a,", false),
        ] {
            assert_eq!(some.check(value).is_ok(), legal, "{value:?}");
        }
        let flag = Definition::new("f", Kind::Boolean, "true", Check::Flag, "");
        assert!(flag.check("TRUE").is_ok() && flag.check("yes").is_err());
        let only = Definition::new(
            "o",
            Kind::Boolean,
            "false",
            Check::Only {
                value: "false",
                why: "because",
            },
            "",
        );
        assert!(only.check("False").is_ok());
        assert_eq!(
            only.check("true").unwrap_err().to_string(),
            "'true' is not a legal value of 'o': only false is supported: because"
        );
    }

    #[test]
    fn refusals_have_kafkas_codes() {
        let unknown = ConfigError::Unknown {
            level: "topic",
            name: "x".to_owned(),
        };
        let refusal = Refusal::from(unknown);
        assert_eq!(refusal.code, ErrorCode::InvalidConfig);
        assert_eq!(refusal.message, "There is no topic configuration named 'x'.");
        assert_eq!(
            Refusal::from(ConfigError::ReadOnly { name: "x" }).code,
            ErrorCode::InvalidRequest
        );
    }
}
