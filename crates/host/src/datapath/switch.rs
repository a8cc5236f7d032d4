//! The switch process itself: which start of `ovs-vswitchd` runs, and who can move frames here.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use archetype_model::observed::{DaemonStart, DatapathKind, Part};
use archetype_netns::rtnl::{Request, Socket};
use archetype_netns::supervised::Process;

use super::door::Door;
use crate::event::{Event, Waker};
use crate::process_end;

/// How often a switch that does not run is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// One that takes up hundreds of ports is busy for some seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The switch of one run folder.
#[derive(Debug)]
pub struct Switch {
    rundir: Option<PathBuf>,
    /// It runs, and did not answer when it was asked last.
    frozen: AtomicBool,
    /// Somebody is asking it.
    asked: AtomicBool,
}

impl Switch {
    /// The switch that writes its pid file into `rundir`; none for one on another machine, which
    /// is taken to run as long as its database answers.
    pub fn new(rundir: Option<PathBuf>) -> Self {
        Self { rundir, frozen: AtomicBool::new(false), asked: AtomicBool::new(false) }
    }

    /// The start that runs now.
    pub fn running(&self) -> Option<DaemonStart> {
        let Some(rundir) = &self.rundir else { return Some(DaemonStart { pid: 0, ticks: 0 }) };
        let pid = fs::read_to_string(rundir.join("ovs-vswitchd.pid")).ok()?.trim().parse().ok()?;
        let process = Process::of(pid)?;
        Some(DaemonStart { pid: u32::try_from(pid).ok()?, ticks: process.start_time })
    }

    /// Whether it runs and did not answer when it was asked last.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    /// Asks it whether it answers, on a thread of its own; one that does not is asked again until it
    /// does. Rings when that changes. Nothing while it is being asked already.
    pub(super) fn ask(self: Arc<Self>, door: Door, waker: Waker) {
        if self.asked.swap(true, Ordering::Relaxed) {
            return;
        }
        // No thread of the runtime's: the end of the agent waits for those.
        std::thread::spawn(move || {
            let ring = |frozen: bool| {
                if self.frozen.swap(frozen, Ordering::Relaxed) != frozen {
                    waker.ring(Event::Changed(Part::Datapath));
                }
            };
            // One that does not run is another matter, and shows by itself.
            while self.running().is_some() && hangs(door.answers(PATIENCE)) {
                ring(true);
            }
            ring(false);
            self.asked.store(false, Ordering::Relaxed);
        });
    }

    /// Rings whenever the switch ends or starts. Runs for ever.
    pub(super) async fn watch(self: Arc<Self>, waker: Waker) {
        loop {
            match self.running().filter(|start| start.pid != 0) {
                Some(start) => {
                    process_end::of(start.pid).await;
                    waker.ring(Event::Changed(Part::Datapath));
                    while self.running() == Some(start) {
                        tokio::time::sleep(LOOK / 10).await;
                    }
                }
                None => tokio::time::sleep(LOOK).await,
            }
            if self.running().is_some() {
                waker.ring(Event::Changed(Part::Datapath));
            }
        }
    }
}

fn hangs(answer: std::io::Result<()>) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    answer.is_err_and(|error| matches!(error.kind(), TimedOut | WouldBlock))
}

/// Whether the kernel moves frames here: its Open vSwitch module answers under its netlink name.
pub(super) fn best_kind() -> DatapathKind {
    if kernel_has_family("ovs_datapath") { DatapathKind::Kernel } else { DatapathKind::Userspace }
}

fn kernel_has_family(name: &str) -> bool {
    const GENL_ID_CTRL: u16 = 0x10;
    const CTRL_CMD_GETFAMILY: u8 = 3;
    const CTRL_ATTR_FAMILY_NAME: u16 = 2;
    let Ok(mut socket) = Socket::open_protocol(libc::NETLINK_GENERIC) else { return false };
    let mut request = Request::new(GENL_ID_CTRL, 0, &[CTRL_CMD_GETFAMILY, 1, 0, 0]);
    request.put_text(CTRL_ATTR_FAMILY_NAME, name);
    socket.ask("look for the kernel's Open vSwitch", &request).is_ok_and(|answer| !answer.is_empty())
}
