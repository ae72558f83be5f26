//! A broker that a script starts: `scripts/peers/README.md` is the contract.
//!
//! It ends with us whatever happens: the script waits for the end of its standard input.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::affinity::Cores;
use crate::clock::{nanos, now_ns};

/// How long a script may take to stop its broker.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// A running script.
pub struct Peer {
    script: Child,
    /// Closing it ends the script.
    stdin: Option<ChildStdin>,
    said: BTreeMap<String, String>,
}

impl Peer {
    /// Runs `script` and waits until it says that its broker is ready; installing may take minutes.
    pub fn start(
        script: &Path,
        environment: &[(String, String)],
        data_dir: &Path,
        cores: &Cores,
    ) -> anyhow::Result<Peer> {
        std::fs::create_dir_all(data_dir).with_context(|| format!("create {}", data_dir.display()))?;
        let [address, admin] = free_addresses()?;
        let mut child = Command::new(script)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("PEER_DATA", data_dir.canonicalize()?)
            .env("PEER_CORES", cores.to_string())
            .env("PEER_ADDRESS", address)
            .env("PEER_ADMIN", admin)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("run {}", script.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("the script's standard output")?;
        let mut peer = Peer {
            script: child,
            stdin,
            said: BTreeMap::new(),
        };
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if line == "ready" {
                ensure!(
                    peer.said.contains_key("address") && peer.said.contains_key("pid"),
                    "{} says neither address= nor pid=",
                    script.display()
                );
                return Ok(peer);
            }
            if let Some((name, value)) = line.split_once('=') {
                peer.said.insert(name.into(), value.into());
            }
        }
        let status = peer.script.wait()?;
        anyhow::bail!(
            "{} ended ({status}) before its broker was ready",
            script.display()
        )
    }

    /// What the script said of its broker.
    pub fn said(&self, name: &str) -> Option<&str> {
        self.said.get(name).map(String::as_str)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let deadline = now_ns() + nanos(STOP_TIMEOUT);
        while let Ok(None) = self.script.try_wait() {
            if now_ns() > deadline {
                eprintln!("the script did not end in {STOP_TIMEOUT:?}; its broker may still run");
                let _ = self.script.kill();
                let _ = self.script.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Two free loopback addresses; somebody else could take them before the broker does, and then it says so.
fn free_addresses() -> anyhow::Result<[String; 2]> {
    let listeners = [
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    ];
    let [first, second] = &listeners;
    Ok([first.local_addr()?.to_string(), second.local_addr()?.to_string()])
}
