//! Counts the instructions of a piece of work by stepping through it: exact where a machine has no counters to ask, and the same on
//! every machine with the same processor features. For tests; the work runs in a child process, between two [`mark`]s.
//!
//! What the kernel does is not counted, and a repeated instruction (`rep movsb`) counts once.
#![expect(unsafe_code, reason = "ptrace")]

use std::io;
use std::process::Command;
use std::ptr::null_mut;

/// Stops the traced thread: the tracer begins to count, or ends.
const MARK: i32 = libc::SIGUSR1;

/// Lets the parent of this process count what this thread does between two marks.
///
/// # Errors
/// EPERM where the system does not allow tracing.
pub fn be_counted() -> io::Result<()> {
    // SAFETY: the request takes no memory.
    match unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, null_mut::<u8>(), null_mut::<u8>()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Begins or ends a piece that is counted. Only after [`be_counted`]: anybody else it would kill.
#[inline(never)]
pub fn mark() {
    // SAFETY: a signal to this thread, on which it stops until its tracer lets it go on without the signal.
    unsafe { libc::raise(MARK) };
}

/// Runs a program of which one thread is to be counted; gives the instructions of each piece, in order, and the exit code.
///
/// # Errors
/// The program can't be started, or was ended by a signal.
pub fn count(program: &mut Command) -> io::Result<(Vec<u64>, i32)> {
    let child = program.spawn()?.id() as i32;
    let mut pieces = Vec::new();
    // Steps of the piece that is being counted, and where the last one was.
    let mut counting: Option<(u64, i64)> = None;
    loop {
        let mut status = 0;
        // SAFETY: the status is a place of ours.
        let thread = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        if thread < 0 {
            return Err(io::Error::last_os_error());
        }
        if !libc::WIFSTOPPED(status) {
            match thread == child {
                true if libc::WIFEXITED(status) => return Ok((pieces, libc::WEXITSTATUS(status))),
                true => return Err(io::Error::other("the program was ended by a signal")),
                // The counted thread has ended before its process.
                false => continue,
            }
        }
        let mut signal = libc::WSTOPSIG(status);
        if signal == MARK {
            signal = 0;
            counting = match counting {
                None => Some((0, 0)),
                Some((steps, _)) => {
                    pieces.push(steps);
                    None
                }
            };
        } else if signal == libc::SIGTRAP {
            signal = 0;
            if let Some((steps, last)) = &mut counting {
                let at = instruction(thread);
                *steps += u64::from(at != *last);
                *last = at;
            }
        }
        let request = if counting.is_some() {
            libc::PTRACE_SINGLESTEP
        } else {
            libc::PTRACE_CONT
        };
        // SAFETY: the thread is stopped, and the requests take a number only.
        unsafe { libc::ptrace(request, thread, null_mut::<u8>(), signal as usize as *mut u8) };
    }
}

/// Where a stopped thread is.
#[cfg(target_arch = "x86_64")]
fn instruction(thread: i32) -> i64 {
    let at = std::mem::offset_of!(libc::user, regs) + std::mem::offset_of!(libc::user_regs_struct, rip);
    // SAFETY: the thread is stopped, and the place lies within its registers.
    unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, thread, at as *mut u8, null_mut::<u8>()) }
}

/// Elsewhere each step is another instruction.
#[cfg(not(target_arch = "x86_64"))]
fn instruction(_thread: i32) -> i64 {
    use std::sync::atomic::{AtomicI64, Ordering};
    static STEP: AtomicI64 = AtomicI64::new(1);
    STEP.fetch_add(1, Ordering::Relaxed)
}
