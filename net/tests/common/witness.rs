//! An ordinary client beside hostile ones, who must not notice them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Client, TestBroker, create, end_offset, fetch_error, get, produce, resident_bytes};

/// An append or a read of the witness's that takes longer has been harmed.
const HARMED: Duration = Duration::from_secs(5);
/// Memory of a broker beside `--memory`: code, stacks, the tasks of a few thousand connections, what the allocator keeps.
pub const BESIDE_MEMORY_BYTES: u64 = 96 << 20;
/// `--memory` of a test's broker.
pub const MEMORY_BYTES: u64 = 128 << 20;

/// A client with a topic of its own.
pub struct Witness {
    client: Client,
    admin: SocketAddr,
    pid: u32,
    written: i64,
}

impl Witness {
    /// Connects and creates the topic.
    pub fn new(broker: &TestBroker) -> Witness {
        let mut client = broker.connect();
        create(&mut client, "witness", 4, &[]);
        Witness {
            client,
            admin: broker.admin(),
            pid: broker.pid(),
            written: 0,
        }
    }

    /// The same on a new connection.
    pub fn again(broker: &TestBroker, before: Witness) -> Witness {
        Witness {
            client: broker.connect(),
            ..before
        }
    }

    /// Writes and reads, and asks whether the broker is well and within its memory. Gives how long the append took.
    pub fn check(&mut self) -> Duration {
        let began = Instant::now();
        let partition = (self.written % 4) as i32;
        let offset = produce(&mut self.client, "witness", partition, 1);
        let took = began.elapsed();
        assert_eq!(
            offset,
            self.written / 4,
            "nothing of the witness's is lost or doubled"
        );
        self.written += 1;
        assert_eq!(fetch_error(&mut self.client, "witness", partition, offset), 0);
        assert_eq!(end_offset(&mut self.client, "witness", partition), offset + 1);
        assert!(
            began.elapsed() < HARMED,
            "the witness waited for {:?}",
            began.elapsed()
        );
        assert_eq!(get(self.admin, "/readyz").0, 200);
        assert_eq!(get(self.admin, "/healthz").0, 200);
        let resident = resident_bytes(self.pid);
        assert!(
            resident <= MEMORY_BYTES + BESIDE_MEMORY_BYTES,
            "{resident} bytes resident"
        );
        took
    }
}
