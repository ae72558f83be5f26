//! `--target NAME=WHERE[,SETTING=VALUE...]`: one of the brokers that are compared.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

/// A target as it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spec {
    /// Its name in reports.
    pub name: String,
    /// Where it is.
    pub location: Location,
    /// Configurations of its topic, beside those of all.
    pub topic_configs: Vec<(String, String)>,
    /// Its admin address, for its stages; a script may tell it too.
    pub admin: Option<String>,
}

/// Where a broker is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Location {
    /// It runs already, and is stopped while others are measured if its process is known.
    Running {
        /// Kafka addresses.
        bootstrap: String,
        /// Its process.
        pid: Option<i32>,
    },
    /// This script installs and starts it.
    Script {
        /// The script.
        path: PathBuf,
        /// What is added to its environment.
        environment: Vec<(String, String)>,
    },
}

impl FromStr for Spec {
    type Err = anyhow::Error;

    /// A location with a slash is a script. Settings in capitals are for its environment, `pid` and `admin` for us, and all
    /// others are configurations of the topic.
    fn from_str(text: &str) -> anyhow::Result<Spec> {
        const FORM: &str =
            "write it as NAME=HOST:PORT or NAME=PATH/TO/SCRIPT, then ,SETTING=VALUE for each setting";
        let (name, rest) = text.split_once('=').context(FORM)?;
        let mut parts = rest.split(',');
        let place = parts.next().unwrap_or_default();
        ensure!(!name.is_empty() && !place.is_empty(), FORM);
        let (mut environment, mut topic_configs) = (Vec::new(), Vec::new());
        let (mut pid, mut admin) = (None, None);
        for part in parts {
            let (setting, value) = part.split_once('=').context(FORM)?;
            let pair = (setting.to_string(), value.to_string());
            match setting {
                "pid" => pid = Some(value.parse().context("pid is a process id")?),
                "admin" => admin = Some(value.to_string()),
                _ if setting.chars().all(|c| c.is_ascii_uppercase() || c == '_') => environment.push(pair),
                _ => topic_configs.push(pair),
            }
        }
        let location = if place.contains('/') {
            ensure!(pid.is_none(), "the script says the process id itself");
            Location::Script {
                path: place.into(),
                environment,
            }
        } else if environment.is_empty() {
            let bootstrap = place.to_string();
            Location::Running { bootstrap, pid }
        } else {
            bail!(
                "{name}: {} is for a target that a script starts",
                environment[0].0
            )
        };
        Ok(Spec {
            name: name.into(),
            location,
            topic_configs,
            admin,
        })
    }
}

/// The targets when none is named: this broker and Kafka, flushing as it does and flushing before it acknowledges.
pub fn defaults() -> Vec<Spec> {
    [
        "tautline=scripts/peers/tautline",
        "kafka=scripts/peers/kafka",
        "kafka-flush=scripts/peers/kafka,flush.messages=1",
    ]
    .iter()
    .map(|text| text.parse().expect("a constant that the test below parses"))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_addresses_and_settings() {
        let spec: Spec = "k=scripts/peers/kafka,flush.messages=1,HEAP=2g".parse().unwrap();
        assert_eq!(spec.topic_configs, [("flush.messages".into(), "1".into())]);
        let environment = vec![("HEAP".to_string(), "2g".to_string())];
        let path = "scripts/peers/kafka".into();
        assert_eq!(spec.location, Location::Script { path, environment });

        let spec: Spec = "t=localhost:9092,pid=7,admin=localhost:9644".parse().unwrap();
        let bootstrap = "localhost:9092".into();
        assert_eq!(
            spec.location,
            Location::Running {
                bootstrap,
                pid: Some(7)
            }
        );
        assert_eq!(spec.admin.as_deref(), Some("localhost:9644"));

        for wrong in [
            "",
            "x",
            "=a/b",
            "x=",
            "x=a/b,y",
            "x=h:1,HEAP=1g",
            "x=h:1,pid=z",
            "x=a/b,pid=1",
        ] {
            assert!(wrong.parse::<Spec>().is_err(), "{wrong}");
        }
        assert_eq!(defaults().len(), 3);
    }
}
