//! What RE2's syntax has and the `regex` crate has not: text that stands for itself, as Java's `Pattern.quote` writes it.

use std::borrow::Cow;

/// The same expression with the text between `\Q` and `\E`, or the end, escaped character by character. Within brackets `\Q` means
/// nothing in RE2, and is left for the compiler to refuse.
pub(crate) fn unquoted(pattern: &str) -> Cow<'_, str> {
    let Some(first) = next_quote(pattern) else {
        return Cow::Borrowed(pattern);
    };
    let (mut plain, mut rest) = (String::with_capacity(2 * pattern.len()), pattern);
    let mut quote = Some(first);
    while let Some(at) = quote {
        plain.push_str(&rest[..at]);
        let quoted = &rest[at + 2..];
        let (text, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
        plain.push_str(&regex::escape(text));
        rest = after;
        quote = next_quote(rest);
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Where the next `\Q` outside of brackets is, in an expression of which nothing is open.
fn next_quote(pattern: &str) -> Option<usize> {
    let bytes = pattern.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if bytes.get(at + 1) == Some(&b'Q') => return Some(at),
            b'\\' => at += 2,
            b'[' => at += brackets(&bytes[at..]),
            _ => at += 1,
        }
    }
    None
}

/// How long the brackets are that begin here; all the rest if they are not closed.
fn brackets(bytes: &[u8]) -> usize {
    let mut at = 1;
    if bytes.get(at) == Some(&b'^') {
        at += 1;
    }
    // Closing first, it is one of the characters.
    if bytes.get(at) == Some(&b']') {
        at += 1;
    }
    while at < bytes.len() {
        match bytes[at] {
            b']' => return at + 1,
            b'\\' => at += 2,
            // The name of a class, as in [[:alpha:]_].
            b'[' if bytes[at..].starts_with(b"[:") => {
                let name = bytes[at..].windows(2).position(|two| two == b":]");
                at += name.map_or(1, |end| end + 2);
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    /// Values of RE2/J's own tests, and of the places where it sees no quote.
    #[test]
    fn quoted_text_stands_for_itself() {
        for (pattern, plain) in [
            (r"\Qa.b\E", r"a\.b"),
            (r"\Qa+|b+\E", r"a\+\|b\+"),
            (r"\Qa\E\Qb.\E", r"ab\."),
            (r"\Qab\E+", "ab+"),
            (r"\Qab\\E", r"ab\\"),
            (r"x\Q[y", r"x\[y"),
            (r"\Q", ""),
            (r"\Q\E*a", "*a"),
            (r"\Qé.\E.", r"é\.."),
            (r"\\Qa.b", r"\\Qa.b"),
            (r"\\\Qa.b", r"\\a\.b"),
            (r"[\Qa]", r"[\Qa]"),
            (r"[]\Qa]\Q.", r"[]\Qa]\."),
            (r"[^]\Qa]\Q.", r"[^]\Qa]\."),
            (r"[[:alpha:]\Q]\Q.", r"[[:alpha:]\Q]\."),
            (r"[a\]\Q]\Q.", r"[a\]\Q]\."),
            (r"a\", r"a\"),
            ("[", "["),
            ("orders-.*", "orders-.*"),
        ] {
            assert_eq!(unquoted(pattern), plain, "{pattern}");
        }
    }

    proptest! {
        /// What `Pattern.quote` makes of any text matches the text, and nothing like it.
        #[test]
        fn a_quoted_text_matches_itself(text in r"[\PC\\EQ.*\[]{0,20}", other in r"[\PC\\EQ.*\[]{0,20}") {
            let quoted = format!(r"\Q{}\E", text.replace(r"\E", r"\E\\E\Q"));
            let regex = Regex::new(&format!(r"\A(?:{})\z", unquoted(&quoted))).unwrap();
            prop_assert!(regex.is_match(&text));
            prop_assert_eq!(regex.is_match(&other), other == text);
        }

        #[test]
        fn any_text_is_taken(pattern in r"[\PC\\EQ\[\]:^]{0,40}") {
            let once = unquoted(&pattern).into_owned();
            prop_assert!(once.len() <= 2 * pattern.len());
        }
    }
}
