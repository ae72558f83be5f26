//! An address as a person writes it: HOST:PORT.

use std::fmt;
use std::str::FromStr;

/// A host, by name or number, and a port. Resolved by whoever binds or connects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Port; 0 lets the kernel choose, where one is listened on.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("'{text}' is not an address: write HOST:PORT, like 127.0.0.1:9092 or [::1]:9092");
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(address) => address,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self {
            host: host.to_owned(),
            port: port.parse().map_err(|_| wrong())?,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in ["127.0.0.1:9092", "[::1]:9092", "broker-1.example:0"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn wrong_addresses_are_refused() {
        for text in [
            "",
            "localhost",
            ":9092",
            "::1:9092",
            "host:99999",
            "host:",
            "a b:1",
            "[]:1",
        ] {
            assert!(
                text.parse::<HostPort>().unwrap_err().contains("HOST:PORT"),
                "{text}"
            );
        }
    }
}
