//! What `tautline start` was told, with flags, file and defaults together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tautline_core::ids::NodeId;
use tautline_core::limits::SHARDS_MAX;
use tautline_core::shard::{PollMode, RuntimeOptions};

use super::assignment::Assignment;
use super::definition::ConfigError;
use super::flags::{AdvertiseFlag, ColdReadFlag, PollFlag, StartFlags};
use super::machine::Machine;
use super::{BrokerConfig, HostPort, cores, file, size};

const SPIN_US_DEFAULT: u64 = 200;
/// A little less than the five seconds after which some that stop a process kill it.
const SHUTDOWN_MS_DEFAULT: u64 = 4_500;
const DATA_DIR_DEFAULT: &str = "./tautline-data";
const LISTEN_DEFAULT: (&str, u16) = ("127.0.0.1", 9092);
const ADMIN_DEFAULT: (&str, u16) = ("127.0.0.1", 9644);
/// Buffers of a core's ring, its connections and its logs need that much to get anywhere.
const MEMORY_PER_CORE_MIN: u64 = 32 << 20;

/// Why the broker can't start as it was told.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file can't be read.
    #[error("--config {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// The file says something wrong.
    #[error("--config {}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What, with its line.
        message: String,
    },
    /// A flag, or what the file says in its place, can't be had.
    #[error("{0}")]
    Option(String),
}

/// What a broker is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartOptions {
    /// One shard each, ascending.
    pub cores: Vec<usize>,
    /// Where everything else runs, if it is kept apart.
    pub control_core: Option<usize>,
    /// What an idle core does.
    pub poll: PollMode,
    /// How long it spins before it sleeps.
    pub spin: Duration,
    /// Budget for buffers and caches of all cores together.
    pub memory_bytes: u64,
    /// Where all data lies.
    pub data_dir: PathBuf,
    /// Where Kafka clients connect.
    pub listen: HostPort,
    /// What they are told to connect to, if it was said; else the address that was bound.
    pub advertise_address: Option<HostPort>,
    /// What clients see: this node, or its cores.
    pub advertise: AdvertiseFlag,
    /// Where metrics are served.
    pub admin: HostPort,
    /// How data that has left memory is read.
    pub cold_read: ColdReadFlag,
    /// A shutdown that takes longer is cut off.
    pub shutdown_max: Duration,
    /// Broker configurations, by name.
    pub set: Vec<Assignment>,
}

impl StartOptions {
    /// Reads the file that the flags name, if they do, and puts all together.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn load(flags: StartFlags, machine: &Machine) -> Result<Self, StartError> {
        let file = match &flags.config {
            Some(path) => read(path)?,
            None => StartFlags::default(),
        };
        Self::new(merge(flags, file), machine).map_err(StartError::Option)
    }

    fn new(flags: StartFlags, machine: &Machine) -> Result<Self, String> {
        let (cores, control_core) = cores_of(&flags, machine)?;
        let shards = cores.len() + usize::from(control_core.is_some());
        if shards > SHARDS_MAX {
            return Err(format!(
                "--cores: {shards} cores are more than the {SHARDS_MAX} supported"
            ));
        }
        let memory_bytes = flags.memory.unwrap_or(machine.memory_bytes / 2);
        let memory_min = MEMORY_PER_CORE_MIN * shards as u64;
        if memory_bytes < memory_min {
            return Err(format!(
                "--memory {} is too little: {} core(s) need {} at least; raise it or use fewer --cores",
                size::show(memory_bytes),
                shards,
                size::show(memory_min),
            ));
        }
        // Each was checked by itself; whether they go together does not depend on the node.
        let set = flags.set.iter().map(|it| (&it.name[..], &it.value[..]));
        BrokerConfig::new(NodeId(0), set).map_err(|error| format!("--set: {error}"))?;
        let address = |(host, port): (&str, u16)| HostPort {
            host: host.to_owned(),
            port,
        };
        Ok(Self {
            cores,
            control_core,
            poll: flags.poll.unwrap_or(PollFlag::Adaptive).into(),
            spin: Duration::from_micros(flags.spin_us.unwrap_or(SPIN_US_DEFAULT)),
            memory_bytes,
            data_dir: flags.data_dir.unwrap_or_else(|| PathBuf::from(DATA_DIR_DEFAULT)),
            listen: flags.listen.unwrap_or_else(|| address(LISTEN_DEFAULT)),
            advertise_address: flags.advertise_address,
            advertise: flags.advertise.unwrap_or(AdvertiseFlag::Node),
            admin: flags.admin.unwrap_or_else(|| address(ADMIN_DEFAULT)),
            cold_read: flags.cold_read.unwrap_or(ColdReadFlag::Direct),
            shutdown_max: Duration::from_millis(flags.shutdown_ms.unwrap_or(SHUTDOWN_MS_DEFAULT)),
            set: flags.set,
        })
    }

    /// How the shards run.
    #[must_use]
    pub fn runtime(&self) -> RuntimeOptions {
        RuntimeOptions {
            cores: self.cores.clone(),
            control_core: self.control_core,
            poll: self.poll,
            spin: self.spin,
            memory_bytes: usize::try_from(self.memory_bytes).unwrap_or(usize::MAX),
        }
    }

    /// The broker's configuration, with what flags of their own have set.
    ///
    /// # Errors
    /// None that [`load`](Self::load) has not found already.
    pub fn broker_config(&self, node: NodeId) -> Result<BrokerConfig, ConfigError> {
        let set = self.set.iter().map(|it| (&it.name[..], &it.value[..]));
        let mut config = BrokerConfig::new(node, set)?;
        config.tell("listeners", format!("PLAINTEXT://{}", self.listen));
        let advertised = self.advertise_address.as_ref().unwrap_or(&self.listen);
        config.tell("advertised.listeners", format!("PLAINTEXT://{advertised}"));
        config.tell("log.dirs", self.data_dir.display().to_string());
        Ok(config)
    }
}

/// The cores of shards, and that of all else.
fn cores_of(flags: &StartFlags, machine: &Machine) -> Result<(Vec<usize>, Option<usize>), String> {
    if let Some(control) = flags.control_core {
        let allowed: Vec<usize> = machine.cores.iter().map(|core| core.core).collect();
        cores::check_allowed("--control-core", &[control], &allowed)?;
    }
    let wanted = flags.cores.clone().unwrap_or_default();
    let cores = wanted.resolve(&machine.cores, flags.control_core)?;
    Ok((cores, flags.control_core))
}

fn read(path: &Path) -> Result<StartFlags, StartError> {
    let text = std::fs::read_to_string(path).map_err(|error| StartError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    file::parse(&text).map_err(|message| StartError::File {
        path: path.to_owned(),
        message,
    })
}

/// Flags win over the file; of `set`, name by name, and the last of a repeated name.
fn merge(flags: StartFlags, file: StartFlags) -> StartFlags {
    let mut set = file.set;
    for assignment in flags.set {
        set.retain(|other| other.name != assignment.name);
        set.push(assignment);
    }
    StartFlags {
        cores: flags.cores.or(file.cores),
        control_core: flags.control_core.or(file.control_core),
        poll: flags.poll.or(file.poll),
        spin_us: flags.spin_us.or(file.spin_us),
        memory: flags.memory.or(file.memory),
        data_dir: flags.data_dir.or(file.data_dir),
        listen: flags.listen.or(file.listen),
        advertise_address: flags.advertise_address.or(file.advertise_address),
        advertise: flags.advertise.or(file.advertise),
        admin: flags.admin.or(file.admin),
        config: flags.config,
        cold_read: flags.cold_read.or(file.cold_read),
        shutdown_ms: flags.shutdown_ms.or(file.shutdown_ms),
        set,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tautline_replica::metadata::MetadataImage;

    use tautline_core::cpu::CoreTopology;

    use super::super::CoreExpression;
    use super::*;

    fn machine() -> Machine {
        Machine {
            cores: (0..4)
                .map(|core| CoreTopology {
                    core,
                    numa_node: Some(0),
                    smt_siblings: Vec::new(),
                })
                .collect(),
            memory_bytes: 8 << 30,
        }
    }

    fn load(flags: StartFlags) -> Result<StartOptions, String> {
        StartOptions::load(flags, &machine()).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_need_no_flag() {
        let options = load(StartFlags::default()).unwrap();
        assert_eq!(options.cores, [0, 1, 2, 3]);
        assert_eq!(options.poll, PollMode::Adaptive);
        assert_eq!(options.spin, Duration::from_micros(200));
        assert_eq!(options.memory_bytes, 4 << 30);
        assert_eq!(options.data_dir, Path::new("./tautline-data"));
        assert_eq!(options.listen.to_string(), "127.0.0.1:9092");
        assert_eq!(options.admin.to_string(), "127.0.0.1:9644");
        assert_eq!(options.cold_read, ColdReadFlag::Direct);
        assert_eq!(options.shutdown_max, Duration::from_millis(4500));
        assert_eq!(options.runtime().cores, options.cores);
    }

    #[test]
    fn a_control_core_is_taken_from_the_shards() {
        let options = load(StartFlags {
            control_core: Some(0),
            ..StartFlags::default()
        })
        .unwrap();
        assert_eq!(
            (&options.cores[..], options.control_core),
            (&[1, 2, 3][..], Some(0))
        );
        let runtime = options.runtime();
        assert_eq!((runtime.pins(), runtime.shard_count()), (vec![0, 1, 2, 3], 4));
    }

    #[test]
    fn flags_win_over_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(
            file,
            "listen = 'file:1'\nadmin = 'file:2'\n[set]\nnum.partitions = 3\nmax.connections = 9\n"
        )
        .unwrap();
        let flags = StartFlags {
            config: Some(file.path().to_owned()),
            listen: Some("flag:1".parse().unwrap()),
            set: vec![Assignment::new("num.partitions", "5").unwrap()],
            ..StartFlags::default()
        };
        let options = load(flags).unwrap();
        assert_eq!(options.listen.host, "flag");
        assert_eq!(options.admin.host, "file");
        let config = options.broker_config(NodeId(1)).unwrap();
        let settings = config.settings(&MetadataImage::default());
        assert_eq!((settings.partition_count, settings.connections_max), (5, 9));
    }

    #[test]
    fn what_can_not_be_had_is_explained() {
        let error = load(StartFlags {
            cores: Some(CoreExpression::parse("3-4").unwrap()),
            ..StartFlags::default()
        })
        .unwrap_err();
        assert!(error.contains("core 4") && error.contains("0-3"), "{error}");
        let error = load(StartFlags {
            memory: Some(64 << 20),
            ..StartFlags::default()
        })
        .unwrap_err();
        assert_eq!(
            error,
            "--memory 64MiB is too little: 4 core(s) need 128MiB at least; raise it or use fewer --cores"
        );
        let error = load(StartFlags {
            control_core: Some(9),
            ..StartFlags::default()
        })
        .unwrap_err();
        assert!(
            error.contains("--control-core 9") && error.contains("0-3"),
            "{error}"
        );
        let error = load(StartFlags {
            set: vec![Assignment::new("group.consumer.session.timeout.ms", "6000").unwrap()],
            ..StartFlags::default()
        })
        .unwrap_err();
        assert!(
            error.starts_with("--set: 'group.consumer.session.timeout.ms' is 6000, less than"),
            "{error}"
        );
        let missing = StartFlags {
            config: Some("/no/such/file".into()),
            ..StartFlags::default()
        };
        let error = load(missing).unwrap_err();
        assert!(error.contains("--config /no/such/file: No such file"), "{error}");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "\nlisen = 'x:1'\n").unwrap();
        let error = load(StartFlags {
            config: Some(file.path().to_owned()),
            ..StartFlags::default()
        })
        .unwrap_err();
        assert!(error.contains("line 2") && error.contains("lisen"), "{error}");
    }
}
