//! The broker as a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Client, HANGS, Log};

/// Memory of a test's broker.
const MEMORY: &str = "128MiB";

/// How long its shutdown may take, unless the test says otherwise: one that is cut off later hangs. A clean one syncs the file
/// system, which takes as long as whatever else is being written there.
const SHUTDOWN: [&str; 2] = ["--shutdown-ms", "120000"];

/// A running broker with a data directory of its own; both go when it is dropped.
pub struct TestBroker {
    process: Child,
    address: SocketAddr,
    log: Log,
    directory: TempDir,
    arguments: Vec<String>,
    fault: Option<&'static str>,
}

impl TestBroker {
    /// Starts a broker with so many shards (as far as the machine has cores) and these arguments besides.
    pub fn start(shards: usize, arguments: &[&str]) -> TestBroker {
        TestBroker::start_with_fault(shards, arguments, None)
    }

    /// The same with a fault of the file layer, also when it is started again.
    pub fn start_with_fault(shards: usize, arguments: &[&str], fault: Option<&'static str>) -> TestBroker {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
        let log = Log::default();
        let (process, address) = launch(directory.path(), shards, &arguments, fault, &log);
        TestBroker {
            process,
            address,
            log,
            directory,
            arguments,
            fault,
        }
    }

    /// A connection of a client's.
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves metrics and health.
    pub fn admin(&self) -> SocketAddr {
        let said = self.log.wait_for("http://");
        let address = said.rsplit("http://").next().expect("it is there").trim();
        address.parse().expect("an address")
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What it was started with besides.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// What it is started with from the next time on.
    pub fn set_arguments(&mut self, arguments: Vec<String>) {
        self.arguments = arguments;
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its data directory.
    pub fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    /// Ends it with SIGKILL and starts it again with so many shards.
    pub fn crash_and_restart(&mut self, shards: usize) -> Client {
        self.crash_edit_and_restart(shards, |_| ())
    }

    /// Ends it with SIGKILL, has its data directory changed, and starts it again with so many shards.
    pub fn crash_edit_and_restart(&mut self, shards: usize, edit: impl FnOnce(&Path)) -> Client {
        self.process.kill().expect("SIGKILL");
        self.process.wait().expect("the process ends");
        edit(self.directory.path());
        self.log = Log::default();
        let directory = self.directory.path();
        (self.process, self.address) = launch(directory, shards, &self.arguments, self.fault, &self.log);
        self.connect()
    }

    /// Ends it with SIGTERM, which must succeed.
    pub fn stop(mut self) {
        let status = self.terminate();
        assert!(status.success(), "the broker ended with {status}");
    }

    /// Ends it with SIGTERM, however that comes out.
    pub fn terminate(&mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::TERM).expect("SIGTERM");
        self.process.wait().expect("the process ends")
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts the process and waits for its `ready:` line.
fn launch(
    directory: &Path,
    shards: usize,
    arguments: &[String],
    fault: Option<&str>,
    log: &Log,
) -> (Child, SocketAddr) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_tautline"))
        .args([
            "start",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--poll",
            "park",
        ])
        .args(["--memory", MEMORY, "--cores", &cores(shards)])
        .arg("--data-dir")
        .arg(directory)
        .args(patience(arguments))
        .args(arguments)
        .env("RUST_LOG", "warn,tautline_net::server=info")
        .envs(fault.map(|fault| ("TAUTLINE_FAULT", fault)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the broker's binary runs");
    log.follow(process.stderr.take().expect("it is piped"));
    let (say, said) = std::sync::mpsc::channel();
    let output = process.stdout.take().expect("it is piped");
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // The test waits for one of the lines only.
            let _ = line
                .strip_prefix("ready: ")
                .map(|address| say.send(address.to_owned()));
        }
    });
    let address = said.recv_timeout(HANGS).unwrap_or_else(|_| {
        // It would outlive the test.
        let _ = process.kill();
        panic!("the broker is not ready within {HANGS:?}")
    });
    (process, address.parse().expect("the ready line has an address"))
}

/// What a broker is told of its shutdown where the test says nothing.
fn patience(arguments: &[String]) -> &'static [&'static str] {
    let is_told = arguments.iter().any(|argument| argument == SHUTDOWN[0]);
    if is_told { &[] } else { &SHUTDOWN }
}

/// As many of this process's cores as asked for, or all it has.
fn cores(count: usize) -> String {
    let allowed = rustix::thread::sched_getaffinity(None).expect("the process's cores");
    let cores = (0..rustix::thread::CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .take(count);
    let cores: Vec<String> = cores.map(|core| core.to_string()).collect();
    if cores.len() < count {
        println!(
            "only {} core(s) here: the test runs with as many shards",
            cores.len()
        );
    }
    cores.join(",")
}
