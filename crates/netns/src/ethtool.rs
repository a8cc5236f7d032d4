//! Features of a network device (offloads), by the `SIOCETHTOOL` call.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};

use crate::error::{Error, Result};

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_STXCSUM: u32 = 0x17;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
/// Words of 32 features each that are asked for; more than the kernel has (2 today).
const WORDS: usize = 4;

/// The features that somebody can switch, and those that are switched on, 32 to a word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    /// Which can be switched.
    pub available: Vec<u32>,
    /// Which of all are wanted on.
    pub wanted: Vec<u32>,
}

/// A socket by which devices of the calling thread's namespace are switched.
#[derive(Debug)]
pub struct Switch(File);

#[repr(C)]
struct Request {
    name: [u8; 16],
    data: *mut u32,
    rest: [u8; 16],
}

impl Switch {
    /// Opens the socket.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub fn open() -> Result<Self> {
        // SAFETY: a plain system call without pointers.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(Error::last("open a socket"));
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    fn call(&self, what: &str, device: &str, data: &mut [u32]) -> Result<()> {
        let mut request = Request { name: [0; 16], data: data.as_mut_ptr(), rest: [0; 16] };
        let length = device.len().min(15);
        request.name[..length].copy_from_slice(&device.as_bytes()[..length]);
        // SAFETY: `request` is laid out as ifreq; its pointer leads to `data`, which is as long as
        // the command in its first words says, and both outlive the call.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
        if done < 0 { Err(Error::last(format!("{what} of {device}"))) } else { Ok(()) }
    }

    /// Reads a device's features.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn features(&self, device: &str) -> Result<Features> {
        let mut data = [0u32; 2 + 4 * WORDS];
        data[0] = ETHTOOL_GFEATURES;
        data[1] = WORDS as u32;
        self.call("read the features", device, &mut data)?;
        let words = (data[1] as usize).min(WORDS);
        let column = |at: usize| (0..words).map(|word| data[2 + 4 * word + at]).collect();
        Ok(Features { available: column(0), wanted: column(1) })
    }

    /// Switches a device's features to `wanted`, as far as they can be switched. Nothing is
    /// written when they are so already.
    ///
    /// # Errors
    /// When there is no such device or it refuses.
    pub fn set_features(&self, device: &str, wanted: &[u32]) -> Result<()> {
        let now = self.features(device)?;
        let words = now.available.len().min(wanted.len());
        let differs = (0..words).any(|word| (now.wanted[word] ^ wanted[word]) & now.available[word] != 0);
        if !differs {
            return Ok(());
        }
        let mut data = vec![ETHTOOL_SFEATURES, words as u32];
        (0..words).for_each(|word| data.extend([now.available[word], wanted[word] & now.available[word]]));
        self.call("switch the features", device, &mut data)
    }

    /// Makes the kernel fill in all checksums itself before a frame leaves the device (or lets it
    /// leave that to whoever comes later).
    ///
    /// # Errors
    /// When there is no such device or it refuses.
    pub fn set_checksum_offload(&self, device: &str, on: bool) -> Result<()> {
        self.call("switch the checksum offload", device, &mut [ETHTOOL_STXCSUM, u32::from(on)])
    }
}
