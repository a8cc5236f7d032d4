//! Network devices: read, made, changed and deleted.
//!
//! It does not know which devices are ours; that is told by the alias, and read by others.

use std::os::fd::{AsRawFd, BorrowedFd};

use archetype_model::{InterfaceName, Mac, Mtu};

use super::socket::Socket;
pub use super::vxlan::Vxlan;
use super::wire::{Attribute, Message, Request, read_u32};
use crate::error::{Error, Result};

pub(crate) const IFINFO: usize = 16;
pub(crate) const IFLA_NUM_TX_QUEUES: u16 = 31;
pub(crate) const IFLA_NUM_RX_QUEUES: u16 = 32;
pub(crate) const IFLA_XDP: u16 = 43;
pub(crate) const IFLA_PROTO_DOWN: u16 = 39;
pub(crate) const NSID_NONE: i32 = -1;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_GSO_MAX_SEGS: u16 = 40;
const IFLA_GSO_MAX_SIZE: u16 = 41;
pub(crate) const IFLA_GRO_MAX_SIZE: u16 = 58;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const RTM_NEWLINKPROP: u16 = 108;
const RTM_DELLINKPROP: u16 = 109;
const RTM_GETNSID: u16 = 90;
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;

/// A network device as the kernel told it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Its index in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its other names, in the kernel's order.
    pub altnames: Vec<String>,
    /// The free text that marks it (`ip link set … alias`); empty when it has none.
    pub alias: String,
    /// The index of the device it hangs on (`IFLA_LINK`): for a veth its peer.
    pub peer_index: Option<u32>,
    /// In which namespace [`Self::peer_index`] counts, as this namespace numbers others
    /// (`IFLA_LINK_NETNSID`); nothing when it is this one.
    pub peer_nsid: Option<i32>,
    /// The group it was put in; 0 unless somebody chose one.
    pub group: u32,
    /// The index of the bridge, bond or VRF that it is a port of.
    pub master: Option<u32>,
    /// What it is: `veth`, `bridge`, `vxlan`, …; empty for hardware and `lo`.
    pub kind: String,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its hardware address; empty for devices without one.
    pub mac: Vec<u8>,
    /// All its flags (`IFF_…`).
    pub flags: u32,
    /// Its operational state (RFC 2863; 6 is up).
    pub operstate: u8,
    /// How many packets it may hold for sending.
    pub tx_queue_length: u32,
    /// `IFLA_GSO_MAX_SIZE` and `IFLA_GSO_MAX_SEGS`.
    pub gso_max: (u32, u32),
    /// The XDP program that sits on it: its number, or 0 where several do.
    pub xdp_program: Option<u32>,
    /// Whether it comes up by carrier alone (0), or waits for somebody to say so (`IFLA_LINKMODE`).
    pub link_mode: u8,
    /// Its address for everybody.
    pub broadcast: Vec<u8>,
    /// `IFLA_GRO_MAX_SIZE`; none where the kernel does not know it.
    pub gro_max_size: Option<u32>,
    /// Whether it is held down by protocol (`ip link set … protodown on`).
    pub is_proto_down: bool,
    /// Its IPv4 and IPv6 settings as the kernel numbers them (`IFLA_AF_SPEC`), raw.
    pub settings: Vec<u8>,
    /// What it is when it is a VXLAN device.
    pub vxlan: Option<Vxlan>,
}

fn xdp_program(xdp: Attribute<'_>) -> Option<u32> {
    const ATTACHED: u16 = 2;
    const PROGRAM: u16 = 4;
    xdp.inner().find(|a| a.kind == ATTACHED && a.u8() != 0)?;
    Some(xdp.inner().find(|a| a.kind == PROGRAM).map_or(0, |a| a.u32()))
}

impl Link {
    /// Whether it is set up.
    pub fn is_up(&self) -> bool {
        self.flags & libc::IFF_UP as u32 != 0
    }

    /// Whether it has carrier: for a veth, whether its peer is up too.
    pub fn has_carrier(&self) -> bool {
        self.flags & 0x1_0000 != 0
    }

    /// Whether it is the loopback device.
    pub fn is_loopback(&self) -> bool {
        self.flags & libc::IFF_LOOPBACK as u32 != 0
    }

    /// Its hardware address, when it has an ordinary one.
    pub fn mac(&self) -> Option<Mac> {
        <[u8; 6]>::try_from(self.mac.as_slice()).ok().and_then(|octets| Mac::new(octets).ok())
    }

    /// Reads a message of type `RTM_NEWLINK` or `RTM_DELLINK`; nothing when it is another one or
    /// about a bridge's port rather than a device.
    pub fn parse(message: &Message) -> Option<Self> {
        let is_link = matches!(message.kind, libc::RTM_NEWLINK | libc::RTM_DELLINK);
        if !is_link || message.body.first() != Some(&(libc::AF_UNSPEC as u8)) {
            return None;
        }
        let mut link =
            Self { index: read_u32(&message.body, 4)?, flags: read_u32(&message.body, 8)?, ..Self::default() };
        message.attributes(IFINFO).for_each(|attribute| link.take(attribute));
        Some(link)
    }

    fn take(&mut self, attribute: Attribute<'_>) {
        match attribute.kind {
            libc::IFLA_IFNAME => self.name = attribute.text(),
            libc::IFLA_IFALIAS => self.alias = attribute.text(),
            libc::IFLA_LINK => self.peer_index = Some(attribute.u32()).filter(|index| *index != 0),
            IFLA_LINK_NETNSID => self.peer_nsid = Some(attribute.u32() as i32),
            libc::IFLA_GROUP => self.group = attribute.u32(),
            libc::IFLA_MASTER => self.master = Some(attribute.u32()),
            libc::IFLA_MTU => self.mtu = attribute.u32(),
            libc::IFLA_ADDRESS => self.mac = attribute.value.to_vec(),
            libc::IFLA_OPERSTATE => self.operstate = attribute.u8(),
            libc::IFLA_TXQLEN => self.tx_queue_length = attribute.u32(),
            IFLA_GSO_MAX_SIZE => self.gso_max.0 = attribute.u32(),
            IFLA_GSO_MAX_SEGS => self.gso_max.1 = attribute.u32(),
            IFLA_PROTO_DOWN => self.is_proto_down = attribute.u8() != 0,
            libc::IFLA_AF_SPEC => self.settings = attribute.value.to_vec(),
            IFLA_XDP => self.xdp_program = xdp_program(attribute),
            libc::IFLA_LINKMODE => self.link_mode = attribute.u8(),
            libc::IFLA_BROADCAST => self.broadcast = attribute.value.to_vec(),
            IFLA_GRO_MAX_SIZE => self.gro_max_size = Some(attribute.u32()),
            IFLA_PROP_LIST => {
                self.altnames = attribute.inner().filter(|a| a.kind == IFLA_ALT_IFNAME).map(|a| a.text()).collect();
            }
            libc::IFLA_LINKINFO => self.take_info(attribute),
            _ => {}
        }
    }

    fn take_info(&mut self, info: Attribute<'_>) {
        for attribute in info.inner() {
            match attribute.kind {
                IFLA_INFO_KIND => self.kind = attribute.text(),
                IFLA_INFO_DATA if self.kind == "vxlan" => self.vxlan = Some(Vxlan::parse(attribute)),
                _ => {}
            }
        }
    }
}

/// Which device is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKey {
    /// The one with this index.
    Index(u32),
    /// The one with this name.
    Name(InterfaceName),
}

impl LinkKey {
    pub(crate) fn write(&self, kind: u16, flags: u16, up: Option<bool>) -> Request {
        let index = match self {
            Self::Index(index) => *index,
            Self::Name(_) => 0,
        };
        let set = up.map_or((0, 0), |up| (if up { libc::IFF_UP as u32 } else { 0 }, libc::IFF_UP as u32));
        let mut request = Request::new(kind, flags, &ifinfo(index, set.0, set.1));
        if let Self::Name(name) = self {
            request.put_text(libc::IFLA_IFNAME, name.as_str());
        }
        request
    }
}

impl std::fmt::Display for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(index) => write!(f, "device number {index}"),
            Self::Name(name) => write!(f, "device {name}"),
        }
    }
}

/// The fixed part of a message about a device.
pub(crate) fn ifinfo(index: u32, flags: u32, mask: u32) -> [u8; IFINFO] {
    let mut bytes = [0; IFINFO];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&mask.to_ne_bytes());
    bytes
}

/// A change of one device; only what is set is written. The kernel takes the parts in an order of
/// its own (address, MTU, name, alias, up, bridge): a new name or address for a device that is up
/// wants a change of its own that sets it down first.
#[derive(Debug, Clone)]
pub struct LinkChange {
    request: Request,
    key: LinkKey,
}

impl LinkChange {
    /// A change of the device `key` that only sets it up or down, or neither.
    pub fn new(key: LinkKey, up: Option<bool>) -> Self {
        Self { request: key.write(libc::RTM_SETLINK, 0, up), key }
    }

    /// Sets exactly these of the device's flags (`IFF_…`), those in `mask`.
    pub fn flags(index: u32, flags: u32, mask: u32) -> Self {
        let request = Request::new(libc::RTM_SETLINK, 0, &ifinfo(index, flags, mask));
        Self { request, key: LinkKey::Index(index) }
    }

    /// Gives it a name; the device is addressed by its index then.
    #[must_use]
    pub fn name(self, name: &InterfaceName) -> Self {
        self.raw(|r| r.put_text(libc::IFLA_IFNAME, name.as_str()))
    }

    /// Gives it a hardware address.
    #[must_use]
    pub fn mac(self, mac: Mac) -> Self {
        self.raw(|r| r.put(libc::IFLA_ADDRESS, &mac.octets()))
    }

    /// Gives it an MTU.
    #[must_use]
    pub fn mtu(self, mtu: Mtu) -> Self {
        self.raw(|r| r.put_u32(libc::IFLA_MTU, mtu.get()))
    }

    /// Marks it with a text of up to 255 bytes; empty takes the mark away.
    #[must_use]
    pub fn alias(self, alias: &str) -> Self {
        self.raw(|r| r.put(libc::IFLA_IFALIAS, alias.as_bytes()))
    }

    /// Puts it in a group.
    #[must_use]
    pub fn group(self, group: u32) -> Self {
        self.raw(|r| r.put_u32(libc::IFLA_GROUP, group))
    }

    /// Makes it a port of the device with index `master`; 0 frees it.
    #[must_use]
    pub fn master(self, master: u32) -> Self {
        self.raw(|r| r.put_u32(libc::IFLA_MASTER, master))
    }

    /// How the device makes its IPv6 link-local address: 0 from its MAC, 1 not at all.
    #[must_use]
    pub fn address_mode(self, mode: u8) -> Self {
        self.raw(|r| {
            r.nest(libc::IFLA_AF_SPEC, |r| {
                r.nest(libc::AF_INET6 as u16, |r| {
                    r.put_u8(8, mode);
                });
            })
        })
    }

    /// Adds any other attribute.
    #[must_use]
    pub fn raw(mut self, add: impl FnOnce(&mut Request) -> &mut Request) -> Self {
        add(&mut self.request);
        self
    }

    /// The change as a request, to be sent in a batch.
    pub fn request(&self) -> &Request {
        &self.request
    }
}

/// A device to be made in the socket's namespace. veth pairs are made by [`crate::veth`].
#[derive(Debug, Clone)]
pub struct NewLink {
    /// Its name.
    pub name: InterfaceName,
    /// What it is.
    pub kind: LinkKind,
    /// Its MTU; the kernel's own choice when not set.
    pub mtu: Option<Mtu>,
    /// Its hardware address; a random one when not set.
    pub mac: Option<Mac>,
    /// Its mark; see [`LinkChange::alias`].
    pub alias: String,
    /// Its group.
    pub group: u32,
    /// The index of the bridge it becomes a port of.
    pub master: Option<u32>,
    /// Whether it is set up at once.
    pub up: bool,
}

/// What a new device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A Linux bridge, spanning tree off.
    Bridge,
    /// A VXLAN device.
    Vxlan(Vxlan),
    /// Any other kind that needs no further settings.
    Other(&'static str),
}

impl NewLink {
    /// A device of this name and kind, down, all else as the kernel chooses.
    pub fn new(name: InterfaceName, kind: LinkKind) -> Self {
        Self { name, kind, mtu: None, mac: None, alias: String::new(), group: 0, master: None, up: false }
    }

    /// The requests that make it, in order: the kernel takes a mark only once the device is there.
    pub fn requests(&self) -> Vec<Request> {
        let mut create = LinkKey::Name(self.name.clone()).write(
            libc::RTM_NEWLINK,
            (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16,
            self.up.then_some(true),
        );
        self.mtu.iter().for_each(|mtu| {
            create.put_u32(libc::IFLA_MTU, mtu.get());
        });
        self.mac.iter().for_each(|mac| {
            create.put(libc::IFLA_ADDRESS, &mac.octets());
        });
        self.master.iter().for_each(|master| {
            create.put_u32(libc::IFLA_MASTER, *master);
        });
        if self.group != 0 {
            create.put_u32(libc::IFLA_GROUP, self.group);
        }
        create.nest(libc::IFLA_LINKINFO, |r| match &self.kind {
            LinkKind::Bridge => {
                r.put_text(IFLA_INFO_KIND, "bridge");
            }
            LinkKind::Other(kind) => {
                r.put_text(IFLA_INFO_KIND, kind);
            }
            LinkKind::Vxlan(vxlan) => {
                r.put_text(IFLA_INFO_KIND, "vxlan").nest(IFLA_INFO_DATA, |r| vxlan.write(r));
            }
        });
        let mut all = vec![create];
        if !self.alias.is_empty() {
            all.push(LinkChange::new(LinkKey::Name(self.name.clone()), None).alias(&self.alias).request);
        }
        all
    }
}

/// The request for every device of the socket's namespace, its counters left out.
pub(crate) fn dump_request() -> Request {
    let mut request = Request::new(libc::RTM_GETLINK, 0, &ifinfo(0, 0, 0));
    request.put_u32(libc::IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    request
}

/// The request that deletes one device.
pub fn delete_request(key: &LinkKey) -> Request {
    key.write(libc::RTM_DELLINK, 0, None)
}

/// The request that adds (or removes) other names of the device with this index.
pub fn altname_request(index: u32, names: &[&str], add: bool) -> Request {
    let (kind, flags) =
        if add { (RTM_NEWLINKPROP, (libc::NLM_F_CREATE | libc::NLM_F_APPEND) as u16) } else { (RTM_DELLINKPROP, 0) };
    let mut request = Request::new(kind, flags, &ifinfo(index, 0, 0));
    request.nest(IFLA_PROP_LIST, |r| {
        names.iter().for_each(|name| {
            r.put_text(IFLA_ALT_IFNAME, name);
        })
    });
    request
}

impl Socket {
    /// Every device of the namespace.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        let messages = self.dump("list the network devices", &dump_request())?;
        Ok(messages.iter().filter_map(Link::parse).collect())
    }

    /// One device; nothing when it is not there. A name also finds a device by its other names.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn link(&mut self, key: &LinkKey) -> Result<Option<Link>> {
        let mut request = key.write(libc::RTM_GETLINK, 0, None);
        request.put_u32(libc::IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        match self.ask(&format!("read {key}"), &request) {
            Ok(messages) => Ok(messages.iter().find_map(Link::parse)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes one device.
    ///
    /// # Errors
    /// [`Error::Refused`] with the kernel's words.
    pub fn change(&mut self, change: &LinkChange) -> Result<()> {
        self.request(&format!("change {}", change.key), &change.request)
    }

    /// Makes a device and gives its index.
    ///
    /// # Errors
    /// [`Error::Refused`]; `EEXIST` when the name is taken.
    pub fn create(&mut self, new: &NewLink) -> Result<u32> {
        for request in new.requests() {
            self.request(&format!("make device {}", new.name), &request)?;
        }
        let link = self.link(&LinkKey::Name(new.name.clone()))?;
        link.map(|link| link.index)
            .ok_or_else(|| Error::Missing { what: format!("device {} vanished as soon as it was made", new.name) })
    }

    /// Deletes one device. It waits some 17 ms for the kernel: delete many by
    /// [`Self::delete_group`], or together with their namespace.
    ///
    /// # Errors
    /// [`Error::Refused`]; `ENODEV` when it is not there.
    pub fn delete(&mut self, key: &LinkKey) -> Result<()> {
        self.request(&format!("delete {key}"), &delete_request(key))
    }

    /// Deletes every device of the namespace that is in `group`, all within one wait of the kernel.
    /// A group without devices is no error.
    ///
    /// # Errors
    /// [`Error::Refused`]; `EPERM` for group 0, in which every device is that nobody put elsewhere.
    pub fn delete_group(&mut self, group: u32) -> Result<()> {
        let what = format!("delete the devices of group {group}");
        if group == 0 {
            return Err(super::Refusal { errno: libc::EPERM, text: "group 0 is everybody's".into() }.about(what));
        }
        let mut request = Request::new(libc::RTM_DELLINK, 0, &ifinfo(0, 0, 0));
        request.put_u32(libc::IFLA_GROUP, group);
        match self.request(&what, &request) {
            Err(error) if error.is_absent() => Ok(()),
            answer => answer,
        }
    }

    /// The number by which this socket's namespace knows the namespace `other`, as it stands in
    /// [`Link::peer_nsid`]; nothing while it has none.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn nsid_of(&mut self, other: BorrowedFd<'_>) -> Result<Option<i32>> {
        let mut request = Request::new(RTM_GETNSID, 0, &[0; 4]);
        request.put_u32(3, other.as_raw_fd() as u32);
        let messages = self.ask("read a namespace's number", &request)?;
        let number = messages.iter().flat_map(|m| m.attributes(4)).find(|a| a.kind == 1).map(|a| a.u32() as i32);
        Ok(number.filter(|number| *number != NSID_NONE))
    }
}
