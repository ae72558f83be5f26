//! DIR/meta.properties: whose the data directory is, and of which format. Written once, as Kafka writes its own.

use std::fs;
use std::io;
use std::path::Path;

use crate::atomic_file::{self, Replace};
use crate::data_dir::FORMAT_VERSION;
use crate::error::StoreError;

/// Who the directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Id of the cluster: 22 characters of URL-safe base64, as Kafka's.
    pub cluster_id: String,
    /// The broker's number.
    pub node_id: i32,
}

/// Reads the file, or makes it for `new` if the directory is new.
pub(crate) fn open_properties(path: &Path, dir: &Path, new: &Properties) -> Result<Properties, StoreError> {
    match fs::read_to_string(path) {
        Ok(text) => parse_properties(&text, path, dir),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if fs::read_dir(dir.join("topics")).is_ok_and(|mut topics| topics.next().is_some()) {
                let what =
                    "is missing, but there are logs: restore it, or move the directory away".to_owned();
                return Err(StoreError::Properties {
                    path: path.to_owned(),
                    what,
                });
            }
            let text = format!(
                "version={FORMAT_VERSION}\ncluster.id={}\nnode.id={}\n",
                new.cluster_id, new.node_id
            );
            atomic_file::replace(path, text.as_bytes(), Replace::Durably).map_err(StoreError::io(path))?;
            Ok(new.clone())
        }
        Err(e) => Err(StoreError::io(path)(e)),
    }
}

fn parse_properties(text: &str, path: &Path, dir: &Path) -> Result<Properties, StoreError> {
    let value = |key: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.split_once('='))
            .find(|(k, _)| k.trim() == key)
            .map(|(_, v)| v.trim())
    };
    let bad = |key: &str| StoreError::Properties {
        path: path.to_owned(),
        what: format!("has no valid {key}: restore the file, or move the directory away"),
    };
    let found: u32 = value("version")
        .and_then(|v| v.parse().ok())
        .ok_or_else(|| bad("version"))?;
    if found > FORMAT_VERSION {
        return Err(StoreError::NewerFormat {
            dir: dir.to_owned(),
            found,
            known: FORMAT_VERSION,
        });
    }
    let cluster_id = value("cluster.id")
        .filter(|id| !id.is_empty())
        .ok_or_else(|| bad("cluster.id"))?
        .to_owned();
    let node_id = value("node.id")
        .and_then(|v| v.parse().ok())
        .ok_or_else(|| bad("node.id"))?;
    Ok(Properties { cluster_id, node_id })
}
