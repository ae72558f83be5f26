//! Which topic names are legal.

use tautline_core::error::ErrorCode;
use tautline_core::limits::TOPIC_NAME_BYTES_MAX;

use crate::Refusal;

/// Checks a topic's name by itself.
///
/// # Errors
/// INVALID_TOPIC_EXCEPTION with what is wrong.
pub fn validate(name: &str) -> Result<(), Refusal> {
    let illegal = |why: String| Err(Refusal::new(ErrorCode::InvalidTopicException, why));
    if name.is_empty() {
        return illegal("Topic name is invalid: it is empty.".to_owned());
    }
    if name == "." || name == ".." {
        return illegal("Topic name is invalid: it is '.' or '..'.".to_owned());
    }
    if name.len() > TOPIC_NAME_BYTES_MAX {
        let length = name.len();
        return illegal(format!(
            "Topic name is invalid: it is {length} bytes long, more than {TOPIC_NAME_BYTES_MAX}."
        ));
    }
    match name.chars().find(|&character| !is_legal(character)) {
        Some(character) => illegal(format!(
            "Topic name is invalid: it contains {character:?}; legal are ASCII letters and digits, '.', '_' and '-'."
        )),
        None => Ok(()),
    }
}

const fn is_legal(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

/// The name with '.' taken for '_', which names of metrics can't tell apart; `None` if it has neither.
pub(crate) fn folded(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_names() {
        for name in [
            "a",
            "A-Z_0.9",
            "__consumer_offsets",
            "...",
            ".a",
            &"x".repeat(249),
        ] {
            assert_eq!(validate(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn illegal_names_say_why() {
        for (name, why) in [
            ("", "empty"),
            (".", "'.' or '..'"),
            ("..", "'.' or '..'"),
            ("a/b", "'/'"),
            ("../etc", "'/'"),
            ("a b", "' '"),
            ("é", "'é'"),
            ("a\0", "'\\0'"),
            (&"x".repeat(250), "250 bytes"),
        ] {
            let refusal = validate(name).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::InvalidTopicException);
            assert!(refusal.message.contains(why), "{}", refusal.message);
        }
    }

    #[test]
    fn folding_takes_dots_for_underscores() {
        assert_eq!(folded("a.b_c").as_deref(), Some("a_b_c"));
        assert_eq!(folded("abc"), None);
    }
}
