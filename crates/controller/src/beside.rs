//! Work that takes its time, beside whoever asked for it: on another processor, where there is one.
//!
//! A thread that was just woken runs, as a rule, on the processor of the one that woke it, even where another is idle: of
//! the idle processors of a virtual machine Linux cannot tell whether the machine's host has given them away, and so takes
//! none of them for one that could begin at once (`available_idle_cpu`). Two threads of one request then take turns.

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use tokio::task::JoinHandle;

/// Runs `work` on a thread that may take its time.
pub(crate) fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let here = sched_getcpu().ok();
    tokio::task::spawn_blocking(move || {
        here.inspect(|processor| leave(*processor));
        work()
    })
}

/// Has this thread go on elsewhere, if it is on this processor and may be on others. What keeps it there keeps it slow, and
/// is no fault.
fn leave(processor: usize) {
    let this_thread = Pid::from_raw(0);
    let (Ok(now), Ok(all)) = (sched_getcpu(), sched_getaffinity(this_thread)) else { return };
    let mut others = all;
    let is_left = now == processor && others.unset(processor).is_ok();
    let is_any = (0..CpuSet::count()).any(|one| others.is_set(one).unwrap_or(false));
    if is_left && is_any {
        // From there it may go wherever it might before.
        let _ = sched_setaffinity(this_thread, &others);
        let _ = sched_setaffinity(this_thread, &all);
    }
}
