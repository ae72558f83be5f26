//! An ordinary client beside hostile ones, who must not notice them.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::{
    Client, HANGS, TestBroker, create, end_offset, fetch_error, get, produce, resident_bytes, within,
};

/// A witness that waits so much longer than a bare write to the same disk has been harmed.
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
    control: Control,
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
            control: Control::new(broker.data_dir()),
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
        self.control.begin();
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
        let waited = began.elapsed();
        let control = self.control.end();
        assert!(
            waited < control + HARMED,
            "the witness waited for {waited:?}, a bare write for {control:?}"
        );
        assert_eq!(get(self.admin, "/readyz").0, 200);
        // A shard has a second for its answer, and the machine may have other things to do.
        within(HANGS, "the broker is healthy", || {
            get(self.admin, "/healthz").0 == 200
        });
        let resident = resident_bytes(self.pid);
        assert!(
            resident <= MEMORY_BYTES + BESIDE_MEMORY_BYTES,
            "{resident} bytes resident"
        );
        took
    }
}

/// A thread that writes a block durably beside each check, where the broker's data lies: what the machine itself makes others wait.
struct Control {
    begin: Sender<Instant>,
    took: Receiver<Duration>,
}

impl Control {
    fn new(beside: &Path) -> Control {
        let file = tempfile::tempfile_in(beside.parent().expect("it is in a directory for temporary ones"));
        let file = file.expect("a file for the control");
        let ((begin, begun), (say, took)) = (channel(), channel());
        std::thread::spawn(move || {
            // Until the witness is gone.
            while let Ok(began) = begun.recv() {
                write_durably(&file);
                let _ = say.send(Instant::elapsed(&began));
            }
        });
        Control { begin, took }
    }

    fn begin(&self) {
        self.begin
            .send(Instant::now())
            .expect("the thread lives as long as its sender");
    }

    fn end(&self) -> Duration {
        self.took.recv().expect("it writes")
    }
}

fn write_durably(file: &File) {
    file.write_all_at(&[7; 4096], 0).expect("there is room");
    file.sync_data().expect("the disk works");
}
