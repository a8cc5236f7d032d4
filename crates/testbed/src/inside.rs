//! An interface inside a network namespace, as software in there handles it: without the cost of a program for each
//! look, so that a test can watch it by the millisecond.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sched::{CloneFlags, setns};

/// One interface of one namespace.
pub struct Inside {
    /// Made in there: what is asked by it is answered of that namespace.
    socket: UdpSocket,
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Inside {
    /// The interface of that name in the namespace of that name under `/run/netns`.
    ///
    /// # Panics
    /// When there is no such namespace, or the name is longer than an interface's may be.
    #[track_caller]
    pub fn of(namespace: &str, interface: &str) -> Self {
        let path = Path::new("/run/netns").join(namespace);
        let open = move || {
            let space = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            setns(space, CloneFlags::CLONE_NEWNET).expect("a namespace can be entered by root");
            UdpSocket::bind("0.0.0.0:0").expect("a socket can be had")
        };
        let socket = std::thread::spawn(open).join().expect("told above");
        let mut name = [0; libc::IFNAMSIZ];
        assert!(interface.len() < name.len(), "{interface} is too long for an interface");
        for (to, from) in name.iter_mut().zip(interface.bytes()) {
            *to = from as libc::c_char;
        }
        Self { socket, name }
    }

    /// Sets it up, or shuts it.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[track_caller]
    pub fn set(&self, up: bool) {
        let mut request = self.request();
        let up_flag = libc::IFF_UP as libc::c_short;
        request.ifr_ifru.ifru_flags = if up { self.flags() | up_flag } else { self.flags() & !up_flag };
        // SAFETY: the request outlives the call.
        let done = unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }

    /// Whether it is set up, with or without carrier.
    ///
    /// # Panics
    /// When there is no such interface.
    #[track_caller]
    pub fn is_up(&self) -> bool {
        self.flags() & libc::IFF_UP as libc::c_short != 0
    }

    /// Whether it is up and the other end gives it carrier.
    ///
    /// # Panics
    /// When there is no such interface.
    #[track_caller]
    pub fn has_carrier(&self) -> bool {
        self.flags() & libc::IFF_RUNNING as libc::c_short != 0
    }

    #[track_caller]
    fn flags(&self) -> libc::c_short {
        let mut request = self.request();
        // SAFETY: the request outlives the call, and SIOCGIFFLAGS fills its flags.
        let done = unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: just filled.
        unsafe { request.ifr_ifru.ifru_flags }
    }

    fn request(&self) -> libc::ifreq {
        // SAFETY: all-zero is a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name = self.name;
        request
    }
}
