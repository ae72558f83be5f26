//! What the kernel knows of a connection (`TCP_INFO`), without reading from it.

use std::os::fd::AsRawFd;

use super::Stream;

/// Where `tcpi_state`, `tcpi_bytes_acked` and `tcpi_bytes_received` lie in the kernel's `struct tcp_info`, which only grows at its end.
const TCP_INFO_STATE_AT: usize = 0;
const TCP_INFO_BYTES_ACKED_AT: usize = 120;
const TCP_INFO_BYTES_RECEIVED_AT: usize = 128;
const TCP_INFO_BYTES: usize = 136;
/// States of a connection as the kernel numbers them (`net/tcp_states.h`).
const TCP_CLOSE: u8 = 7;
const TCP_CLOSE_WAIT: u8 = 8;

/// Bytes that have moved on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Sent, and acknowledged by the other side's kernel.
    pub bytes_acknowledged: u64,
    /// Received.
    pub bytes_received: u64,
}

impl Stream {
    /// What has moved since the connection began, as the kernel counts it (`TCP_INFO`).
    pub fn traffic(&self) -> Option<Traffic> {
        let info = self.tcp_info()?;
        let field = |at: usize| u64::from_ne_bytes(info[at..at + 8].try_into().expect("eight bytes"));
        Some(Traffic {
            bytes_acknowledged: field(TCP_INFO_BYTES_ACKED_AT),
            bytes_received: field(TCP_INFO_BYTES_RECEIVED_AT),
        })
    }

    /// Whether the peer has closed its side or is gone, seen without reading what it sent before.
    pub fn peer_has_closed(&self) -> bool {
        self.tcp_info()
            .is_some_and(|info| [TCP_CLOSE, TCP_CLOSE_WAIT].contains(&info[TCP_INFO_STATE_AT]))
    }

    fn tcp_info(&self) -> Option<[u8; TCP_INFO_BYTES]> {
        let mut info = [0u8; TCP_INFO_BYTES];
        let mut len = info.len() as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes to `info`.
        let result = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &mut len,
            )
        };
        (result == 0 && len as usize == info.len()).then_some(info)
    }
}
