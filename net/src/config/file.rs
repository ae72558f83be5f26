//! The TOML file of `--config`: the flags' names as keys, and broker configurations in a table `set`.
//!
//! ```toml
//! listen = "0.0.0.0:9092"
//! memory = "4GiB"
//!
//! [set]
//! num.partitions = 3
//! ```

use std::path::PathBuf;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::assignment::Assignment;
use super::cores::CoreExpression;
use super::flags::{AdvertiseFlag, ColdReadFlag, PollFlag, StartFlags};
use super::{HostPort, size};

/// The keys, as they are written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    #[serde(default, deserialize_with = "cores")]
    cores: Option<CoreExpression>,
    control_core: Option<usize>,
    poll: Option<PollFlag>,
    spin_us: Option<u64>,
    #[serde(default, deserialize_with = "memory")]
    memory: Option<u64>,
    data_dir: Option<PathBuf>,
    #[serde(default, deserialize_with = "address")]
    listen: Option<HostPort>,
    #[serde(default, deserialize_with = "address")]
    advertise_address: Option<HostPort>,
    advertise: Option<AdvertiseFlag>,
    #[serde(default, deserialize_with = "address")]
    admin: Option<HostPort>,
    cold_read: Option<ColdReadFlag>,
    shutdown_ms: Option<u64>,
    /// Read a second time, for the lines of its keys.
    #[serde(rename = "set")]
    _set: Option<toml::Table>,
}

fn with<'de, D: serde::Deserializer<'de>, T>(
    from: D,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map(Some).map_err(serde::de::Error::custom)
}

fn cores<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<CoreExpression>, D::Error> {
    with(from, CoreExpression::parse)
}

fn memory<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    with(from, size::parse)
}

fn address<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<HostPort>, D::Error> {
    with(from, str::parse)
}

/// Reads the text of a file as flags.
///
/// # Errors
/// What is wrong, with its line.
pub(super) fn parse(text: &str) -> Result<StartFlags, String> {
    let keys: Keys = toml::from_str(text).map_err(|error| error.to_string())?;
    let root = DeTable::parse(text).map_err(|error| error.to_string())?;
    let mut set = Vec::new();
    if let Some(DeValue::Table(table)) = root.get_ref().get("set").map(|value| value.get_ref()) {
        flatten(text, "", table, &mut set)?;
    }
    Ok(StartFlags {
        cores: keys.cores,
        control_core: keys.control_core,
        poll: keys.poll,
        spin_us: keys.spin_us,
        memory: keys.memory,
        data_dir: keys.data_dir,
        listen: keys.listen,
        advertise_address: keys.advertise_address,
        advertise: keys.advertise,
        admin: keys.admin,
        config: None,
        cold_read: keys.cold_read,
        shutdown_ms: keys.shutdown_ms,
        set,
    })
}

/// Dots in an unquoted TOML key make tables; here they are part of a name.
fn flatten(text: &str, prefix: &str, table: &DeTable<'_>, set: &mut Vec<Assignment>) -> Result<(), String> {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        let line = text[..key.span().start].matches('\n').count() + 1;
        let value = match value.get_ref() {
            DeValue::Table(inner) => {
                flatten(text, &format!("{name}."), inner, set)?;
                continue;
            }
            DeValue::String(value) => value.to_string(),
            DeValue::Integer(value) => value.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            _ => {
                return Err(format!(
                    "line {line}: '{name}' must be a text, an integer or true or false"
                ));
            }
        };
        let assignment = Assignment::new(&name, &value).map_err(|error| format!("line {line}: {error}"))?;
        set.push(assignment);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_its_key() {
        let flags = parse(
            "cores = '0-1'\ncontrol-core = 2\nadvertise = 'lanes'\npoll = 'park'\nspin-us = 50\nmemory = '1GiB'\ndata-dir = '/data'\n\
             listen = '0.0.0.0:1'\nadvertise-address = 'me:1'\nadmin = '127.0.0.1:2'\ncold-read = 'sendfile'\nshutdown-ms = 9000\n\
             [set]\nnum.partitions = 3\n'log.retention.ms' = '60000'\nauto.create.topics.enable = false\n",
        )
        .unwrap();
        let assignment = |name: &str, value: &str| Assignment::new(name, value).unwrap();
        let mut set = flags.set.clone();
        set.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(
            set,
            [
                assignment("auto.create.topics.enable", "false"),
                assignment("log.retention.ms", "60000"),
                assignment("num.partitions", "3"),
            ]
        );
        let rest = StartFlags {
            set: Vec::new(),
            ..flags
        };
        let expected = StartFlags {
            cores: Some(CoreExpression::parse("0-1").unwrap()),
            control_core: Some(2),
            poll: Some(PollFlag::Park),
            spin_us: Some(50),
            memory: Some(1 << 30),
            data_dir: Some(PathBuf::from("/data")),
            listen: Some("0.0.0.0:1".parse().unwrap()),
            advertise_address: Some("me:1".parse().unwrap()),
            advertise: Some(AdvertiseFlag::Lanes),
            admin: Some("127.0.0.1:2".parse().unwrap()),
            config: None,
            cold_read: Some(ColdReadFlag::Sendfile),
            shutdown_ms: Some(9000),
            set: Vec::new(),
        };
        assert_eq!(rest, expected);
        assert_eq!(parse(""), Ok(StartFlags::default()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, why) in [
            ("poll = 'park'\nlisen = 'x:1'\n", "line 2", "lisen"),
            ("\n\npoll = 'often'\n", "line 3", "often"),
            ("cores = 'x'\n", "line 1", "not a list of cores"),
            ("memory = 5\n", "line 1", "expected a string"),
            ("config = 'other.toml'\n", "line 1", "config"),
            (
                "[set]\nnum.partitions = 0\n",
                "line 2",
                "legal are integers from 1",
            ),
            ("[set]\nnum.partitions = 1\nlog.foo = 1\n", "line 3", "'log.foo'"),
            ("[set]\nnum.partitions = [1]\n", "line 2", "must be a text"),
            ("[set]\nlisteners = 'x'\n", "line 2", "set by --listen"),
            ("poll = \n", "line 1", ""),
            ("poll = 'park'\npoll = 'busy'\n", "line 2", "duplicate"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(
                message.contains(line) && message.contains(why),
                "{text:?}: {message}"
            );
        }
    }
}
