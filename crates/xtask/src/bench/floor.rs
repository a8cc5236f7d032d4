//! The floor program: the same devices, ports and frames with nothing else done. No spec, no pass, no marks in the
//! database, no files but the namespaces' pins, no second look at anything.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use archetype_model::Mtu;
use archetype_netns::rtnl::{LinkChange, LinkKey, Request, Socket};
use archetype_netns::{Namespace, VethOrder, VethPair, pin, veth};
use archetype_testbed::scratch_dir;

use super::frames::{self, End};
use super::size::{Size, mac};
use super::switch::{Port, Seen, Switch, add_ports, bridge_with, remove_ports};

const LOOPBACK: u32 = 1;
/// Threads that work inside namespaces: the kernel lets no more than two gain anything.
const THREADS: usize = 2;

/// How long each part took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phases {
    pub nodes: Duration,
    pub veths: Duration,
    pub commit: Duration,
    pub up: Duration,
    pub settle: Duration,
    pub frames: Duration,
    pub total: Duration,
}

/// What the floor program built.
#[derive(Debug)]
pub struct Floor<'r> {
    switch: Switch<'r>,
    series: String,
    spaces: Vec<Namespace>,
    sockets: Vec<OwnedFd>,
    made: usize,
    pins: Vec<PathBuf>,
}

/// One link to be made: the places of both nodes, the numbers of their interfaces, its tag.
struct Link {
    nodes: (usize, usize),
    interfaces: (usize, usize),
    tag: i64,
}

impl<'r> Floor<'r> {
    /// An empty one on an Open vSwitch; `series` (three letters at most) begins its devices' names.
    pub fn new(switch: Switch<'r>, series: &str) -> Self {
        let series = series.to_string();
        Self { switch, series, spaces: Vec::new(), sockets: Vec::new(), made: 0, pins: Vec::new() }
    }

    /// Builds a lab and sends frames across all its links. Without `frames` it ends when the switch has settled.
    pub fn build(&mut self, size: Size, datapath: &str, frames: bool) -> anyhow::Result<Phases> {
        let mut phases = Phases::default();
        let begun = Instant::now();
        let mut lap = begun;
        let mut take = |phase: &mut Duration| {
            *phase = lap.elapsed();
            lap = Instant::now();
        };
        self.add_nodes(size.nodes)?;
        take(&mut phases.nodes);
        let links = links_of(size);
        let (ports, pairs) = self.make_pairs(&links)?;
        take(&mut phases.veths);
        let tags: Vec<i64> = links.iter().map(|link| link.tag).collect();
        let next_cfg = self.switch.commit(bridge_with(&ports, datapath, &tags))?;
        take(&mut phases.commit);
        let ends = self.set_up(&links, &pairs, true)?;
        take(&mut phases.up);
        self.switch.settled(next_cfg)?;
        take(&mut phases.settle);
        if frames {
            frames::cross(&self.sockets, &ends)?;
        }
        take(&mut phases.frames);
        phases.total = begun.elapsed();
        Ok(phases)
    }

    /// Makes nodes: namespaces with a pin each.
    pub fn add_nodes(&mut self, count: usize) -> anyhow::Result<()> {
        let folder = scratch_dir(&format!("floor-{}", self.series));
        let first = self.pins.len();
        self.pins.extend((first..first + count).map(|number| folder.join(format!("n{number}"))));
        for made in pin::many(&self.pins[first..]) {
            self.spaces.push(made.context("make a namespace")?);
        }
        Ok(())
    }

    /// Makes one more link, between two nodes, on the bridge that is there; done when frames crossed it.
    pub fn add_link(&mut self, nodes: (usize, usize), number: usize, tag: i64) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let link = [Link { nodes, interfaces: (number, number), tag }];
        let (ports, pairs) = self.make_pairs(&link)?;
        let next_cfg = self.switch.commit(add_ports(&ports))?;
        let ends = self.set_up(&link, &pairs, false)?;
        self.switch.settled(next_cfg)?;
        frames::cross(&self.sockets, &ends)?;
        Ok(begun.elapsed())
    }

    /// Takes the link made last away. Its switch must watch ports ([`Switch::connect`]).
    pub fn take_last_away(&mut self) -> anyhow::Result<()> {
        let names = [2, 1].map(|back| format!("{}{}", self.series, self.made - back));
        let has_both = |seen: &Seen| names.iter().all(|name| seen.ports.contains_key(name));
        self.switch.until(has_both)?;
        let seen = self.switch.seen();
        let rows = names.iter().filter_map(|name| Some(seen.ports.get(name)?.0));
        self.switch.settled(self.switch.commit(remove_ports(rows))?)?;
        let mut host = Socket::open()?;
        names.iter().try_for_each(|name| host.delete(&LinkKey::Name(name.parse()?)).context("remove a device"))
    }

    /// Two bare changes of a port's tag, each waited for until the switch has carried it out.
    pub fn change_tag_twice(&self, port: &str, wrong: i64) -> anyhow::Result<Duration> {
        let (row, right) = self.switch.seen().ports.get(port).copied().context("the port is not there")?;
        let begun = Instant::now();
        self.switch.settled(self.switch.set_tag(row, wrong)?)?;
        self.switch.settled(self.switch.set_tag(row, right.unwrap_or(1))?)?;
        Ok(begun.elapsed())
    }

    /// Opens the sockets for frames in every namespace, so that adding a link does not have to.
    pub fn open_sockets(&mut self) -> anyhow::Result<()> {
        self.set_up(&[], &[], true).map(drop)
    }

    fn make_pairs(&mut self, links: &[Link]) -> anyhow::Result<(Vec<Port>, Vec<VethPair>)> {
        let mut host = Socket::open()?;
        let mut orders = Vec::with_capacity(2 * links.len());
        let mut ports = Vec::with_capacity(2 * links.len());
        for link in links {
            for (node, number) in [(link.nodes.0, link.interfaces.0), (link.nodes.1, link.interfaces.1)] {
                let name = format!("{}{}", self.series, self.made);
                ports.push((name.clone(), link.tag));
                orders.push(VethOrder {
                    host_name: name.parse()?,
                    host_mtu: Mtu::LARGEST,
                    host_alias: "floor".into(),
                    host_up: true,
                    host_group: 0,
                    master: None,
                    node: self.spaces[node].as_fd(),
                    node_name: format!("eth{number}").parse()?,
                    node_mac: mac(0x80, self.made),
                    node_mtu: Mtu::LAB_DEFAULT,
                });
                self.made += 1;
            }
        }
        let made = veth::create(&mut host, &orders)?.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok((ports, made))
    }

    /// Sets the nodes' ends up, `lo` too and with a socket for frames where `whole`; answers the ends of each link.
    fn set_up(&mut self, links: &[Link], pairs: &[VethPair], whole: bool) -> anyhow::Result<Vec<(End, End)>> {
        let mut devices: Vec<Vec<u32>> = vec![if whole { vec![LOOPBACK] } else { Vec::new() }; self.spaces.len()];
        let mut ends = Vec::with_capacity(links.len());
        for (link, pair) in links.iter().zip(pairs.chunks(2)) {
            let (a, b) = (pair[0].node_index, pair[1].node_index);
            devices[link.nodes.0].push(a);
            devices[link.nodes.1].push(b);
            ends.push((End { socket: link.nodes.0, ifindex: a }, End { socket: link.nodes.1, ifindex: b }));
        }
        let work: Vec<(&Namespace, &[u32])> =
            self.spaces.iter().zip(&devices).map(|(space, devices)| (space, &**devices)).collect();
        let work: Vec<_> = work.into_iter().filter(|(_, devices)| !devices.is_empty()).collect();
        let share = work.len().div_ceil(THREADS).max(1);
        let opened: Vec<anyhow::Result<Vec<Option<OwnedFd>>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = work.chunks(share).map(|part| scope.spawn(move || inside(part, whole))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        for sockets in opened {
            self.sockets.extend(sockets?.into_iter().flatten());
        }
        Ok(ends)
    }

    /// Takes the namespaces away, and with them the devices.
    pub fn remove(mut self) -> anyhow::Result<()> {
        self.sockets.clear();
        self.spaces.clear();
        self.pins.iter().try_for_each(|pin| pin::unpin(pin)).context("unpin")?;
        Ok(())
    }
}

/// Sets devices up in one namespace after the other, on a thread that never comes back to the host's.
fn inside(part: &[(&Namespace, &[u32])], sockets: bool) -> anyhow::Result<Vec<Option<OwnedFd>>> {
    let mut opened = Vec::with_capacity(part.len());
    for (space, devices) in part {
        space.enter()?;
        let up = |index: &u32| LinkChange::new(LinkKey::Index(*index), Some(true)).request().clone();
        let requests: Vec<Request> = devices.iter().map(up).collect();
        for answer in Socket::open()?.batch(&requests)? {
            answer.map_err(|refusal| refusal.about("set a device up"))?;
        }
        opened.push(sockets.then(frames::socket).transpose()?);
    }
    Ok(opened)
}

fn links_of(size: Size) -> Vec<Link> {
    let mut interfaces = vec![0usize; size.nodes];
    let mut next = |node: usize| {
        interfaces[node] += 1;
        interfaces[node]
    };
    (0..size.links)
        .map(|number| {
            let nodes = size.ends(number);
            Link { nodes, interfaces: (next(nodes.0), next(nodes.1)), tag: number as i64 + 1 }
        })
        .collect()
}
