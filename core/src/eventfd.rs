//! Awaiting an eventfd inside the executor: the bridge from our ring's completions to glommio's sleep.
#![expect(unsafe_code, reason = "glommio takes raw descriptors")]

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use glommio::io::BufferedFile;

pub(crate) struct Eventfd {
    file: BufferedFile,
}

impl Eventfd {
    /// Takes a *blocking* eventfd over: glommio's ring then waits for it instead of failing with EAGAIN.
    pub fn new(eventfd: OwnedFd) -> Eventfd {
        // SAFETY: the descriptor is open and owned by nobody else from here on.
        Eventfd {
            file: unsafe { BufferedFile::from_raw_fd(eventfd.into_raw_fd()) },
        }
    }

    /// Completes when the counter is not zero, and clears it.
    pub async fn read(&self) {
        // An error (a signal, a ring shutting down) means only that the caller polls once more.
        let _ = self.file.read_at(0, 8).await;
    }
}
