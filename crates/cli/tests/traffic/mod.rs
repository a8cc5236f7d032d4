//! Datagrams with a number each, sent from one node to another for as long as a test changes something beside them:
//! every one that was sent must come.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

/// The time between two datagrams.
const EVERY: Duration = Duration::from_millis(5);
/// How long the last ones may be on their way.
const ON_THE_WAY: Duration = Duration::from_millis(500);

/// Traffic from one node to another.
pub struct Traffic {
    what: String,
    stop: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<u64>,
}

impl Traffic {
    /// Sends from the namespace `from` to `to`, which has the address of `at`.
    pub fn begin(from: &str, to: &str, at: SocketAddr) -> Self {
        let receiver = within(to, move || UdpSocket::bind(at));
        receiver.set_read_timeout(Some(ON_THE_WAY)).unwrap();
        let sender = within(from, || UdpSocket::bind("0.0.0.0:0"));
        let stop = Arc::new(AtomicBool::new(false));
        let (sending, receiving) = (stop.clone(), stop.clone());
        let sender = std::thread::spawn(move || {
            let mut sent = 0u64;
            while !sending.load(Ordering::Relaxed) {
                // One that the kernel refuses for want of a carrier or a route is lost.
                drop(sender.send_to(&sent.to_be_bytes(), at));
                sent += 1;
                std::thread::sleep(EVERY);
            }
            sent
        });
        let receiver = std::thread::spawn(move || {
            let mut numbers = std::collections::BTreeSet::new();
            let mut buffer = [0u8; 8];
            loop {
                match receiver.recv_from(&mut buffer) {
                    Ok(_) => drop(numbers.insert(u64::from_be_bytes(buffer))),
                    Err(_) if receiving.load(Ordering::Relaxed) => return numbers.len() as u64,
                    Err(_) => {}
                }
            }
        });
        Self { what: format!("{from} to {to}"), stop, sender, receiver }
    }

    /// Ends it, and fails when one of them has not come.
    #[track_caller]
    pub fn lost_nothing(self, during: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, came) = (self.sender.join().unwrap(), self.receiver.join().unwrap());
        eprintln!("{during}: {}: {came} of {sent} datagrams came", self.what);
        assert!(sent > 0 && sent == came, "{during}: {}: {} of {sent} datagrams were lost", self.what, sent - came);
    }
}

/// A socket made in a namespace; it stays there whichever thread uses it.
fn within(namespace: &str, make: impl FnOnce() -> std::io::Result<UdpSocket> + Send + 'static) -> UdpSocket {
    let path = format!("/run/netns/{namespace}");
    let enter = move || {
        setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
        make().unwrap()
    };
    std::thread::spawn(enter).join().unwrap()
}
