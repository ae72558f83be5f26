//! `NAME=VALUE`, the argument of `--set`.

use super::definition::ConfigError;
use super::layers::check_fixed;

/// A broker configuration and its value, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Kafka's name of it.
    pub name: String,
    /// The value as text.
    pub value: String,
}

impl Assignment {
    /// Checks that there is such a configuration and that it may say so.
    ///
    /// # Errors
    /// What is wrong.
    pub fn new(name: &str, value: &str) -> Result<Self, ConfigError> {
        check_fixed(name, value)?;
        Ok(Self {
            name: name.to_owned(),
            value: value.trim().to_owned(),
        })
    }
}

/// Parses `NAME=VALUE`.
///
/// # Errors
/// What is wrong.
pub fn parse(text: &str) -> Result<Assignment, String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("'{text}' is not NAME=VALUE, like num.partitions=3"))?;
    Assignment::new(name.trim(), value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_checked() {
        let assignment = parse("num.partitions = 3").unwrap();
        assert_eq!(
            (&assignment.name[..], &assignment.value[..]),
            ("num.partitions", "3")
        );
        for (text, why) in [
            ("num.partitions", "not NAME=VALUE"),
            (
                "num.partition=3",
                "there is no broker configuration named 'num.partition'",
            ),
            ("num.partitions=0", "legal are integers from 1"),
            ("listeners=x", "'listeners' is set by --listen"),
            ("log.cleanup.policy=squeeze", "legal are lists of compact, delete"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(why), "{message}");
        }
    }
}
