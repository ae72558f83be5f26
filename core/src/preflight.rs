//! What the machine must offer before a shard can run, each with the cure if it doesn't.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::ring::Ring;

/// Locked memory that glommio's rings need, an executor.
const MEMLOCK_BYTES_PER_SHARD: u64 = 512 << 10;
/// Oldest kernel with SINGLE_ISSUER, DEFER_TASKRUN, provided buffer rings and multishot accept.
const KERNEL_MIN: (u32, u32) = (6, 1);

/// The machine can't run the broker as it is set up.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The kernel is too old.
    #[error("Linux {found} is too old: io_uring with DEFER_TASKRUN needs {}.{} or later; upgrade the kernel", KERNEL_MIN.0, KERNEL_MIN.1)]
    Kernel {
        /// The release found.
        found: String,
    },
    /// io_uring is switched off, or filtered.
    #[error(
        "io_uring is not available ({source}): set the sysctl kernel.io_uring_disabled to 0, and in a container allow the \
         io_uring_setup, io_uring_enter and io_uring_register system calls"
    )]
    Uring {
        /// What the kernel said.
        source: io::Error,
    },
    /// The limit on locked memory is too low.
    #[error(
        "the limit on locked memory is {found_bytes} bytes, {needed_bytes} are needed for {shards} cores: raise it with \
         `ulimit -l`, LimitMEMLOCK= in the service's unit, or /etc/security/limits.conf"
    )]
    Memlock {
        /// The hard limit.
        found_bytes: u64,
        /// What is needed.
        needed_bytes: u64,
        /// For how many shards.
        shards: usize,
    },
}

/// Checks the kernel, io_uring and the limit on locked memory, and raises soft limits to the hard ones.
///
/// # Errors
/// See [`Unfit`].
pub fn check(shards: usize) -> Result<(), Unfit> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if kernel_version(&release).is_some_and(|version| version < KERNEL_MIN) {
        return Err(Unfit::Kernel { found: release });
    }
    raise(Resource::Nofile);
    raise(Resource::Memlock);
    let needed_bytes = MEMLOCK_BYTES_PER_SHARD * shards as u64;
    // No limit reads as None.
    if let Some(found_bytes) = getrlimit(Resource::Memlock)
        .current
        .filter(|&limit| limit < needed_bytes)
    {
        return Err(Unfit::Memlock {
            found_bytes,
            needed_bytes,
            shards,
        });
    }
    Ring::new().map(drop).map_err(|source| Unfit::Uring { source })
}

fn raise(resource: Resource) {
    let limit = getrlimit(resource);
    // It may always be raised to the hard limit; if not, what needs it fails later with its own error.
    let _ = setrlimit(
        resource,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}

fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kernel_releases() {
        assert_eq!(kernel_version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(kernel_version("5.10.0-8-amd64"), Some((5, 10)));
        assert!(kernel_version("weird").is_none());
    }

    #[test]
    fn this_machine_is_fit() {
        check(1).unwrap();
    }
}
