//! The broker's process: started, known to be ready, killed.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock::{nanos, now_ns};

/// A broker that has not ended so long after SIGTERM hangs: what bounds its shutdown is its own flags.
const TERMINATE_WITHIN: Duration = Duration::from_secs(150);
/// A dead broker whose sockets the kernel has not closed after that long has left somebody behind.
const FREE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_UP_EVERY: Duration = Duration::from_millis(10);
/// The line that says the broker serves.
const READY: &str = "ready:";

/// How to start it.
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Arguments after ours.
    pub args: Vec<String>,
    /// Values of --cores, taken in turn; none for the broker's default.
    pub cores: Vec<String>,
    /// Added to its environment.
    pub env: Vec<(String, String)>,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Its address.
    pub listen: String,
    /// Its address for metrics.
    pub admin: String,
    /// Where its output goes.
    pub log: PathBuf,
    /// How long it may take until it is ready.
    pub ready_within: Duration,
}

/// A running broker; killed when dropped.
pub struct BrokerProcess {
    child: Child,
    ready: Receiver<()>,
    output: Option<JoinHandle<std::io::Result<()>>>,
    log: PathBuf,
}

impl Launch {
    /// Starts the `number`th process, without waiting for it.
    pub fn spawn(&self, number: usize) -> anyhow::Result<BrokerProcess> {
        wait_until_free(&self.listen)?;
        let mut log = open_log(&self.log)?;
        writeln!(log, "--- start {number}")?;
        let mut command = Command::new(&self.program);
        command.arg("start").arg("--data-dir").arg(&self.data_dir).args([
            "--listen",
            &self.listen,
            "--admin",
            &self.admin,
        ]);
        if !self.cores.is_empty() {
            command.args(["--cores", &self.cores[number % self.cores.len()]]);
        }
        command.args(&self.args).envs(self.env.iter().cloned());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone()?);
        let mut child = command
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        let stdout = child.stdout.take().context("the broker's output is piped")?;
        let (seen, ready) = channel();
        let output = std::thread::spawn(move || follow(stdout, log, seen));
        Ok(BrokerProcess {
            child,
            ready,
            output: Some(output),
            log: self.log.clone(),
        })
    }

    /// Starts it and waits until it is ready; returns how long that took.
    pub fn start(&self, number: usize) -> anyhow::Result<(BrokerProcess, Duration)> {
        let began = now_ns();
        let mut broker = self.spawn(number)?;
        match broker.ready.recv_timeout(self.ready_within) {
            Ok(()) => Ok((broker, Duration::from_nanos(now_ns() - began))),
            Err(RecvTimeoutError::Timeout) => bail!(
                "the broker isn't ready after {:?}; its output ends:\n{}",
                self.ready_within,
                tail(&self.log)
            ),
            Err(RecvTimeoutError::Disconnected) => {
                let status = broker.child.wait()?;
                bail!(
                    "the broker ended before it was ready ({status}); its output ends:\n{}",
                    tail(&self.log)
                )
            }
        }
    }
}

/// The kernel takes an io_uring down after its process is gone, and only then closes the sockets it held. A restart
/// within those milliseconds meets a busy port, which says nothing about what was acknowledged.
fn wait_until_free(listen: &str) -> anyhow::Result<()> {
    let deadline = now_ns() + nanos(FREE_WITHIN);
    while let Err(error) = TcpListener::bind(listen) {
        if now_ns() > deadline {
            return Err(error)
                .with_context(|| format!("{listen} is not free {FREE_WITHIN:?} after the broker's end"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

impl BrokerProcess {
    /// Fails if it has ended by itself.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "the broker ended by itself ({status}); its output ends:\n{}",
                tail(&self.log)
            );
        }
        Ok(())
    }

    /// `kill -9`; fails if it had ended by itself before.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.check_alive()?;
        self.reap().map(|_| ())
    }

    /// SIGTERM; fails unless it ends with status 0 in time.
    pub fn terminate(mut self) -> anyhow::Result<()> {
        self.check_alive()?;
        let pid = Pid::from_raw(self.child.id() as i32).context("the broker's process id")?;
        kill_process(pid, Signal::TERM)?;
        let deadline = now_ns() + nanos(TERMINATE_WITHIN);
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(
                    status.success(),
                    "the broker ends with {status} on SIGTERM; its output ends:\n{}",
                    tail(&self.log)
                );
                return Ok(());
            }
            ensure!(
                now_ns() < deadline,
                "the broker has not ended {TERMINATE_WITHIN:?} after SIGTERM"
            );
            std::thread::sleep(LOOK_UP_EVERY);
        }
    }

    fn reap(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.kill()?;
        let status = self.child.wait()?;
        if let Some(output) = self.output.take() {
            // Its output is complete once the pipe is closed; a failure to copy it is no finding about the broker.
            let _ = output.join();
        }
        Ok(status)
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // Nothing to kill if it has been waited for.
        let _ = self.reap();
    }
}

fn follow(stdout: ChildStdout, mut log: File, seen: Sender<()>) -> std::io::Result<()> {
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        writeln!(log, "{line}")?;
        if line.starts_with(READY) {
            // Nobody waits for one that was killed while it started.
            let _ = seen.send(());
        }
    }
    Ok(())
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))
}

/// The last lines of the broker's output.
fn tail(log: &Path) -> String {
    const LINES: usize = 15;
    let text = std::fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
