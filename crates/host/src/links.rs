//! Devices and namespaces: the host's ends of interfaces, the namespaces that hold the nodes'
//! ends, and what is inside them.
//!
//! One netlink watch hears the host's namespace and every node's, another what becomes of frames on the host's devices; what
//! they say narrows what is read again. All of it is synchronous and quick; callers run it on a thread that may wait.

mod apply;
mod astray;
mod facts;
mod finishing;
mod holders;
mod inside;
mod names;
mod readdress;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsFd as _;
use std::os::linux::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use archetype_model::observed::{DeviceObserved, Mark, NamespaceObserved, Reading};
use archetype_model::others::NameHolder;
use archetype_model::{ContainerName, InterfaceName, Mac};
use archetype_netns::pin::NETNS_FOLDER;
use archetype_netns::rtnl::{Link, LinkEvent, LinkKey, SEVERAL, Socket, Watch};
use archetype_netns::{Error, Namespace, pin};
use ipnet::IpNet;

pub use facts::of as facts_of;

use crate::place::Place;
use crate::probe::Reached;
use astray::{Astray, Stray};
use inside::{Notes, Space};
use names::Names;

/// Where fewer than one of so many devices are to be read again, each is asked for by itself, and not for all of them.
const FEW: usize = 10;

/// The room.
#[derive(Debug)]
pub struct Links {
    place: Place,
    watch: Watch,
    /// What becomes of frames on the host's devices; a watch of its own, for nodes may change theirs all the time.
    handling: Watch,
    /// How often filters at devices or bridges came to be others, counted by who hears of them.
    filters: Arc<AtomicU64>,
    names: Option<Names>,
    /// How often what the watch heard was taken in.
    heard: Arc<AtomicU64>,
    host: Socket,
    /// The host's devices, kept true by the watch; none when they must be read.
    devices: Option<BTreeMap<u32, Link>>,
    /// How often the watch heard that a device's frames are handled in another way, by its number.
    handlings: BTreeMap<u32, u64>,
    /// How often it may have missed that, or it was of devices that it could not name.
    missed: u64,
    spaces: BTreeMap<ContainerName, Space>,
    /// Where the pins and the names lead, kept true by the watch; none when they must be read.
    leads: Option<BTreeMap<ContainerName, Leads>>,
    astray: Astray,
}

/// Which namespaces a node's pin and name lead to: numbers on nsfs, none where it is no namespace.
#[derive(Debug, Clone, Copy)]
struct Leads {
    pin: Option<u64>,
    name: Option<u64>,
}

impl Links {
    /// Opens the room in the caller's network namespace.
    ///
    /// # Errors
    /// When the kernel gives no netlink sockets.
    pub fn open(place: Place) -> Result<Self, Error> {
        let (watch, handling) = (Watch::open(true)?, Watch::of_handling()?);
        end_removals(&place);
        let host = Socket::open()?;
        let names = Names::open(&place);
        Ok(Self {
            place,
            watch,
            handling,
            filters: Arc::default(),
            names,
            heard: Arc::default(),
            host,
            devices: None,
            handlings: BTreeMap::new(),
            missed: 0,
            spaces: BTreeMap::new(),
            leads: None,
            astray: Astray::default(),
        })
    }

    /// Descriptors that become readable when something changes, to be waited for by the caller.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn changes(&self) -> std::io::Result<Vec<std::os::fd::OwnedFd>> {
        let names = self.names.as_ref().map(Names::heard);
        let devices = [self.watch.as_fd(), self.handling.as_fd()].map(|watch| watch.try_clone_to_owned());
        devices.into_iter().chain(names).collect()
    }

    /// Counts how often the room has taken in what [`Links::changes`] tells of.
    pub fn times_heard(&self) -> Arc<AtomicU64> {
        self.heard.clone()
    }

    /// Counts how often filters at devices or bridges came to be others: for who hears of them.
    pub fn filters(&self) -> Arc<AtomicU64> {
        self.filters.clone()
    }

    /// Has everything read from its source next time; answers how many devices differed.
    pub fn full_read(&mut self) -> u64 {
        self.hear();
        let before = self.devices.take();
        // A failed read leaves none, and the next look tries again.
        let now = self.host.links().ok();
        let differences = match (before, &now) {
            (Some(before), Some(now)) => now
                .iter()
                .filter(|link| before.get(&link.index).is_none_or(|b| b.flags != link.flags || b.name != link.name))
                .count(),
            _ => 0,
        };
        self.devices = now.map(|links| links.into_iter().map(kept).collect());
        self.leads = None;
        self.spaces.values_mut().for_each(Space::forget_all);
        differences as u64
    }

    /// The host's devices and the nodes' namespaces.
    #[allow(clippy::type_complexity, reason = "the two parts that one look gives")]
    pub fn show(
        &mut self,
    ) -> (Reading<BTreeMap<InterfaceName, DeviceObserved>>, Reading<BTreeMap<ContainerName, NamespaceObserved>>) {
        self.hear();
        let handlings = std::mem::take(&mut self.handlings);
        let missed = self.missed + self.filters.load(Ordering::Acquire);
        let devices = self.devices().map(|devices| {
            let devices = devices.values();
            devices
                .filter_map(|link| device(link, missed + handlings.get(&link.index).copied().unwrap_or_default()))
                .collect()
        });
        self.handlings = handlings;
        let spaces = self.spaces();
        (devices.into(), spaces.into())
    }

    /// Takes in what the watches heard.
    fn hear(&mut self) {
        let heard = [self.watch.read(), self.handling.read()];
        let names = self.names.as_mut().map_or(names::Heard { moved: true, lost: false }, Names::read);
        if names.moved {
            self.leads = None;
        }
        if names.lost {
            self.spaces.values_mut().for_each(Space::forget_notes);
        }
        self.heard.fetch_add(1, Ordering::Release);
        // Asked for at most once: there may be hundreds of events.
        let mut own = None;
        for mut event in heard.into_iter().flat_map(|read| read.unwrap_or_else(|_| vec![LinkEvent::Lost])) {
            if let Some(nsid) = event.nsid_mut()
                && nsid.is_some()
                && *own.get_or_insert_with(|| self.own_number()) == *nsid
            {
                *nsid = None;
            }
            match event {
                LinkEvent::Changed { nsid: None, link } => {
                    if let Some(devices) = &mut self.devices {
                        devices.extend([kept(*link)]);
                    }
                }
                LinkEvent::Gone { nsid: None, link } => {
                    self.handlings.remove(&link.index);
                    if let Some(devices) = &mut self.devices {
                        devices.remove(&link.index);
                    }
                }
                LinkEvent::Handling { nsid: None, index } => self.handled(index),
                // Inside a node its own software rules.
                LinkEvent::Handling { nsid: Some(_), .. } => {}
                // Neither watch asks for them.
                LinkEvent::Addressed { .. } => {}
                LinkEvent::Changed { nsid: Some(nsid), .. } | LinkEvent::Gone { nsid: Some(nsid), .. } => {
                    self.spaces.values_mut().filter(|space| space.nsid() == Some(nsid)).for_each(Space::forget);
                }
                LinkEvent::Lost => {
                    self.missed += 1;
                    self.devices = None;
                    self.spaces.values_mut().for_each(Space::forget);
                }
            }
        }
    }

    /// The number of the host's own namespace, where it has one. Somebody may have given it one (`ip netns set`, LXD), and
    /// kernels before the middle of 2026 then tell its own changes with it.
    fn own_number(&mut self) -> Option<i32> {
        self.host.nsid_of(Namespace::own().ok()?.as_fd()).ok()?
    }

    /// Frames of a device are handled in another way; maybe of any, where it is no device's number.
    fn handled(&mut self, index: u32) {
        match index {
            SEVERAL => self.missed += 1,
            index => *self.handlings.entry(index).or_default() += 1,
        }
    }

    /// Reads devices anew that were given a mark: on one that is down no event tells of it, and that of its making, without
    /// the mark, would be the last word.
    fn read_again(&mut self, marked: &[u32]) {
        self.hear();
        let Some(devices) = &mut self.devices else { return };
        let is_few = marked.len() < devices.len() / FEW;
        let read = is_few.then(|| marked.iter().map(|index| self.host.link(&LinkKey::Index(*index))).collect());
        match read.transpose() {
            Ok(Some(read)) => devices.extend(Vec::into_iter(read).flatten().map(kept)),
            Ok(None) | Err(_) => self.devices = None,
        }
    }

    fn devices(&mut self) -> Result<&BTreeMap<u32, Link>, Error> {
        if self.devices.is_none() {
            let links = self.host.links()?;
            self.devices = Some(links.into_iter().map(kept).collect());
        }
        // Just filled.
        Ok(self.devices.get_or_insert_default())
    }

    fn spaces(&mut self) -> Result<BTreeMap<ContainerName, NamespaceObserved>, Error> {
        if self.leads.is_none() {
            self.leads = Some(leads(&self.place)?);
        }
        let leads = self.leads.clone().unwrap_or_default();
        self.spaces.retain(|name, _| leads.contains_key(name));
        let mut seen = BTreeMap::new();
        for (container, Leads { pin: identity, name }) in leads {
            // A folder left by a reboot holds plain files; they are no namespaces.
            let Some(identity) = identity else { continue };
            let pin = self.place.pin(&container);
            if self.spaces.get(&container).is_none_or(|space| space.identity() != identity) {
                match Namespace::open_node(&pin) {
                    Ok(namespace) => drop(self.spaces.insert(container.clone(), Space::new(namespace))),
                    Err(_) => continue,
                }
            }
            let named = name == Some(identity);
            let name_taken = name.filter(|_| !named).map(holders::of);
            let Some(space) = self.spaces.get_mut(&container) else { continue };
            space.is_named = named;
            let Some(Notes { mark, facts }) = space.notes(&self.place, &container) else { continue };
            let inside = space.look(&mut self.host);
            let awake = inside.as_ref().is_ok_and(|inside| inside.awake);
            let inside = Reading::from(inside.map(|inside| inside.devices));
            seen.insert(container, NamespaceObserved { identity, mark, named, name_taken, facts, inside, awake });
        }
        self.read_strays(&mut seen);
        Ok(seen)
    }

    /// Reads what nodes that run have moved into namespaces of their own. Of one that does not run all is to be in its own:
    /// what is elsewhere lives on the wire.
    fn read_strays(&mut self, seen: &mut BTreeMap<ContainerName, NamespaceObserved>) {
        let all = self.strays();
        if all.is_empty() {
            return;
        }
        for (container, found) in seen.iter_mut().filter(|(_, found)| found.awake) {
            let strays: Vec<Stray> = all.iter().filter(|stray| stray.is_of(&found.mark)).cloned().collect();
            let read = self.read_elsewhere(container, &strays);
            match (read, &mut found.inside) {
                (Ok(read), Reading::Known(inside)) => inside.extend(read.into_iter().flat_map(|(_, devices)| devices)),
                (Err(error), inside @ Reading::Known(_)) => *inside = Reading::Unreadable(error.to_string()),
                (_, Reading::Unreadable(_)) => {}
            }
        }
    }

    /// The namespaces in which these ends of a node are, each with those that are in it.
    fn read_elsewhere(&mut self, container: &ContainerName, strays: &[Stray]) -> Result<Vec<Reached>, Error> {
        let nodes: BTreeSet<u64> = self.spaces.values().map(Space::identity).collect();
        let own = self.spaces.get(container).map(Space::identity).unwrap_or_default();
        let mut found = Vec::new();
        for nsid in strays.iter().map(|stray| stray.nsid).collect::<BTreeSet<_>>() {
            let Some((namespace, mut inside)) = self.astray.read(&mut self.host, nsid, (own, &nodes))? else {
                continue;
            };
            inside.retain(|device, _| strays.iter().any(|stray| stray.nsid == nsid && stray.device == *device));
            found.push((namespace, inside));
        }
        Ok(found)
    }

    /// The host's devices of which the other end is in no node's own namespace.
    fn strays(&mut self) -> Vec<Stray> {
        let own: BTreeSet<i32> = self.spaces.values().filter_map(Space::nsid).collect();
        let devices = self.devices().into_iter().flat_map(BTreeMap::values);
        devices.filter_map(|link| Stray::of(link, &own)).collect()
    }

    /// The host's devices without a mark of this installation: number, name, whether it is a bridge.
    /// None where they cannot be read.
    pub fn devices_of_others(&mut self) -> Vec<(u32, String, bool)> {
        self.hear();
        let own = self.place.installation().clone();
        let is_own = |link: &Link| link.alias.parse().is_ok_and(|mark: Mark| mark.installation == own);
        let others = self.devices().into_iter().flatten().filter(|(_, link)| !is_own(link));
        others.map(|(index, link)| (*index, link.name.clone(), link.kind == "bridge")).collect()
    }

    /// Names under `/run/netns` that lead to namespaces of others, with who holds each. One
    /// that leads to a node of ours whose pin is gone is not among them.
    pub fn names_of_others(&self) -> BTreeMap<String, NameHolder> {
        let entries = fs::read_dir(archetype_netns::pin::NETNS_FOLDER).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| ContainerName::new(entry.file_name().to_str()?).ok());
        let pins = device_of(&self.place.pins());
        let folder = device_of(Path::new(archetype_netns::pin::NETNS_FOLDER));
        let other = |container: ContainerName| {
            // Nothing happened to it since it was last read.
            if self.leads.is_some() && self.spaces.get(&container).is_some_and(|space| space.is_named) {
                return None;
            }
            let identity = inode_of_namespace(&Place::name(&container), folder).ok()?;
            // One that is held open needs no second look.
            let held = self.spaces.get(&container).map(|space| space.identity());
            let pin = || inode_of_namespace(&self.place.pin(&container), pins).ok();
            let pin = held.filter(|held| *held == identity).or_else(pin);
            let ours = pin == Some(identity) || pin.is_none() && self.place.mark_file(&container).exists();
            (!ours).then(|| (container.to_string(), holders::of_name(&self.place, &container, identity)))
        };
        names.filter_map(other).collect()
    }

    /// The namespaces in which interfaces of a node are, its own first, each with what is inside by the peer's ifindex on
    /// the host.
    pub(crate) fn reached(&mut self, container: &ContainerName) -> Option<Vec<Reached>> {
        let (own, inside) = self.inside(container)?;
        let mark = self.spaces.get_mut(container)?.notes(&self.place, container)?.mark;
        let strays: Vec<Stray> = self.strays().into_iter().filter(|stray| stray.is_of(&mark)).collect();
        let elsewhere = self.read_elsewhere(container, &strays).unwrap_or_default();
        Some([(own, inside)].into_iter().chain(elsewhere).collect())
    }

    /// What is inside a node's namespace, by the peer's ifindex on the host; also its own handle.
    pub(crate) fn inside(&mut self, container: &ContainerName) -> Option<Reached> {
        let namespace = Namespace::open_node(self.place.pin(container)).ok()?;
        let inside = self.spaces.get_mut(container)?.inside(&mut self.host).ok()?;
        Some((namespace, inside))
    }

    /// The addresses inside a node, by the ifindex of the host's device whose peer has them; empty
    /// where it has no namespace of ours.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn addresses_inside(&mut self, container: &ContainerName) -> Result<BTreeMap<u32, Vec<IpNet>>, Error> {
        self.hear();
        let Some(space) = self.spaces.get_mut(container) else { return Ok(BTreeMap::new()) };
        space.addresses(&mut self.host)
    }

    /// The hardware addresses of the host's devices, by number.
    pub(crate) fn addresses_of_devices(&mut self) -> BTreeMap<u32, Mac> {
        self.hear();
        let devices = self.devices().into_iter().flatten();
        devices.filter_map(|(index, link)| Some((*index, link.mac()?))).collect()
    }

    /// The numbers of all devices of the host now, by name.
    pub(crate) fn ifindexes(&mut self) -> BTreeMap<String, u32> {
        self.hear();
        let devices = self.devices().map(|devices| devices.values().map(|link| (link.name.clone(), link.index)));
        devices.map(Iterator::collect).unwrap_or_default()
    }
}

/// A device as the room keeps it: its settings, a kilobyte each, are of no use here.
fn kept(link: Link) -> (u32, Link) {
    (link.index, Link { settings: Vec::new(), altnames: Vec::new(), ..link })
}

fn device(link: &Link, handlings: u64) -> Option<(InterfaceName, DeviceObserved)> {
    let observed = DeviceObserved {
        ifindex: link.index,
        kind: link.kind.clone(),
        up: link.is_up(),
        carrier: link.has_carrier(),
        mtu: link.mtu,
        mac: link.mac(),
        controller: link.master,
        peer: link.peer_index.filter(|_| link.kind == "veth"),
        peer_is_here: link.kind == "veth" && link.peer_index.is_some() && link.peer_nsid.is_none(),
        mark: link.alias.parse().ok(),
        // A program that took the place of another is another way to handle frames, and comes without news of its own.
        handlings: handlings + (link.xdp_program.map_or(0, |program| u64::from(program) + 1) << 32),
    };
    Some((InterfaceName::new(link.name.clone()).ok()?, observed))
}

/// Ends the removals of nodes that an agent had begun which died.
fn end_removals(place: &Place) {
    let folders = fs::read_dir(place.nodes()).into_iter().flatten().flatten();
    let going = folders.filter_map(|entry| place.going(entry.file_name().to_str()?));
    for container in going {
        // What was made under that name since is another one's.
        let is_there_again = place.node(&container).exists();
        let ended = if is_there_again { remove_going(place, &container) } else { remove_node(place, &container) };
        if let Err(error) = ended {
            tracing::warn!(%error, %container, "what is left of a node could not be removed");
        }
    }
}

/// Removes the pin and the folder of a node. The folder gets another name first: whoever dies in between leaves what
/// tells the next one to go on.
fn remove_node(place: &Place, container: &ContainerName) -> Result<(), Error> {
    let folder = place.node(container);
    if folder.exists() {
        remove_going(place, container)?;
        let moved = fs::rename(folder, place.going_folder(container));
        moved.map_err(|error| Error::system(format!("move the folder of {container} aside"), error))?;
    }
    pin::unpin(&place.pin(container))?;
    remove_going(place, container)
}

/// Removes the folder of a node whose removal has begun, where there is one.
fn remove_going(place: &Place, container: &ContainerName) -> Result<(), Error> {
    match fs::remove_dir_all(place.going_folder(container)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::system(format!("remove the folder of {container}"), error))
        }
        _ => Ok(()),
    }
}

/// Where the pins lead, and the names of their nodes.
fn leads(place: &Place) -> Result<BTreeMap<ContainerName, Leads>, Error> {
    let (pins, names) = (device_of(&place.pins()), device_of(Path::new(NETNS_FOLDER)));
    let leads = |container: ContainerName| {
        let pin = inode_of_namespace(&place.pin(&container), pins).ok();
        let name = inode_of_namespace(&Place::name(&container), names).ok();
        (container, Leads { pin, name })
    };
    Ok(pinned(place)?.into_iter().map(leads).collect())
}

/// The nodes with a pin, or what a reboot left of one.
fn pinned(place: &Place) -> Result<BTreeSet<ContainerName>, Error> {
    let folder = place.pins();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(Error::system(format!("read {}", folder.display()), error)),
    };
    Ok(entries
        .filter_map(Result::ok)
        .filter_map(|entry| ContainerName::new(entry.file_name().to_str()?).ok())
        .collect())
}

/// The number of the namespace pinned at a path: the inode on the kernel's namespace file system.
/// `folder` is the device of the folder around it.
fn inode_of_namespace(path: &Path, folder: Option<u64>) -> std::io::Result<u64> {
    let meta = fs::metadata(path)?;
    // nsfs shows namespaces as regular files of mode 0444 on a device of its own, without size; a
    // plain file left by a reboot lies on the folder's own device.
    if folder == Some(meta.st_dev()) {
        return Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    }
    Ok(meta.st_ino())
}

/// The same for the name that people's tools use.
fn public_inode(container: &ContainerName) -> std::io::Result<u64> {
    inode_of_namespace(&Place::name(container), device_of(Path::new(archetype_netns::pin::NETNS_FOLDER)))
}

fn device_of(folder: &Path) -> Option<u64> {
    fs::metadata(folder).ok().map(|meta| meta.st_dev())
}
