//! A wire is a cable: what crosses it, what does not, and who else hears it. Real namespaces, real
//! Open vSwitch, frames of our own. Needs root.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod bench;
mod frames;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use archetype_model::spec::{DesiredRun, EndRef, HostSpec, WireShape};
use archetype_model::status::LinkState;
use archetype_testbed::{run, sandbox, slowly};
use bench::plan::Plan;
use bench::{Bench, block_on, container, gone};
use frames::build::{BROADCAST, ethernet, packet_of, tagged};
use frames::tap::{Tap, enter, inside};
use frames::{Address, Frame, Path, fifty_eight, twenty};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

/// How long a frame may take before it counts as lost: much, for the machine may be busy.
const LOST: Duration = Duration::from_secs(3);
/// How long is waited for a frame that is not to come.
const QUIET: Duration = Duration::from_millis(150);

/// What does not cross as it is: on both datapaths, and beside that on userspace's. Any other
/// failure fails the test, and so does one of these that passes. Why, is in `docs/wires.md`.
struct NotCarried {
    anywhere: &'static [&'static str],
    in_userspace: &'static [&'static str],
}

const NOT_OF_TWENTY: NotCarried =
    NotCarried { anywhere: &["VLAN 0, priority 0", "VLAN 60 in VLAN 0"], in_userspace: &["one tag, drop eligible"] };
const NOT_OF_FIFTY_EIGHT: NotCarried =
    NotCarried { anywhere: &[], in_userspace: &["VLAN 10, priority 5, drop eligible"] };

/// A tap at every end of a spec.
fn taps(spec: &HostSpec) -> BTreeMap<EndRef, Tap> {
    let ends = spec.wires().flat_map(|(lab, wire)| wire.ends.iter().map(move |end| (lab, end)));
    ends.map(|(lab, end)| (end.clone(), Tap::open(&container(&lab.name, end), end.interface.as_str()))).collect()
}

fn address(spec: &HostSpec, end: &EndRef) -> Address {
    spec.labs[0].interface(end).unwrap().1.mac.octets()
}

/// The ends of the first wire, in order, with a tap each.
fn first_wire(spec: &HostSpec) -> Vec<(EndRef, Tap)> {
    let (lab, wire) = spec.wires().next().unwrap();
    let tap = |end: &EndRef| Tap::open(&container(&lab.name, end), end.interface.as_str());
    wire.ends.iter().map(|end| (end.clone(), tap(end))).collect()
}

/// Sends a frame twice, the first time with nothing cached in the switch, and says what is not as
/// it was sent.
fn wrong(bench: &Bench, frame: &Frame, from: &Tap, to: &mut Tap) -> Option<String> {
    bench.ovs.command_switch("revalidator/purge");
    to.all_within(Duration::ZERO);
    for nth in ["first", "second"] {
        from.send(&frame.bytes).unwrap();
        match to.next(Instant::now() + slowly(LOST)) {
            Some(heard) if heard == frame.bytes => {}
            Some(heard) => return Some(format!("the {nth} became {:02x?}", &heard[..heard.len().min(40)])),
            None => return Some(format!("the {nth} was lost")),
        }
    }
    None
}

/// Sends all frames across the first wire, each way, and compares those that fail with the list.
fn exactly_these_fail(of: fn(&Path) -> Vec<Frame>, not_carried: &NotCarried) {
    block_on(async {
        let bench = Bench::deploy(Plan::cables(2, &[(0, 1)]).spec(1)).await;
        let mut expected = BTreeSet::from_iter(not_carried.anywhere.iter().copied());
        if !bench.in_kernel() {
            expected.extend(not_carried.in_userspace);
        }
        let tag = bench.spec.wires().next().unwrap().1.tag.get();
        let mut taps = first_wire(&bench.spec);
        for _ in 0..2 {
            let (source, target) = (address(&bench.spec, &taps[0].0), address(&bench.spec, &taps[1].0));
            let [(from, sender), (_, receiver)] = taps.as_mut_slice() else { panic!("a cable has two ends") };
            let mut failed = BTreeMap::new();
            for frame in of(&Path { source, target, tag }) {
                failed.extend(wrong(&bench, &frame, sender, receiver).map(|how| (frame.name, how)));
            }
            let names: BTreeSet<&str> = failed.keys().copied().collect();
            assert_eq!(names, expected, "from {from}: {failed:#?}");
            taps.reverse();
        }
    });
}

#[test]
fn of_the_twenty_frames_exactly_the_named_ones_do_not_cross_unchanged() {
    sandbox(|| exactly_these_fail(twenty::frames, &NOT_OF_TWENTY));
}

#[test]
fn of_the_58_kinds_exactly_the_named_ones_do_not_cross_unchanged() {
    sandbox(|| exactly_these_fail(fifty_eight::frames, &NOT_OF_FIFTY_EIGHT));
}

#[test]
fn the_lists_are_of_twenty_and_58_frames_with_a_name_each() {
    let path = Path { source: [2, 0, 0, 0, 0, 1], target: [2, 0, 0, 0, 0, 2], tag: 100 };
    for (list, length) in [(twenty::frames(&path), 20), (fifty_eight::frames(&path), 58)] {
        let names: BTreeSet<&str> = list.iter().map(|frame| frame.name).collect();
        assert_eq!((list.len(), names.len()), (length, length));
    }
}

#[test]
fn jumbo_frames_cross_up_to_the_labs_mtu_and_the_hosts_end_is_larger_than_any_of_them() {
    sandbox(|| {
        block_on(async {
            let bench = Bench::deploy(Plan::cables(2, &[(0, 1)]).spec(1)).await;
            let device = &bench.spec.labs[0].nodes[0].interfaces[0].host_device;
            let mtu = |place: &[&str], name: &str| -> u32 {
                let args = [place, &["-o", "link", "show", name]].concat();
                let line = run("ip", args);
                line.split_once(" mtu ").unwrap().1.split(' ').next().unwrap().parse().unwrap()
            };
            assert_eq!(mtu(&["-n", "clab-lab0-n0"], "eth1"), 9500);
            assert_eq!(mtu(&[], device.as_str()), 65000);
            let mut taps = first_wire(&bench.spec);
            let (source, target) = (address(&bench.spec, &taps[0].0), address(&bench.spec, &taps[1].0));
            let [(_, sender), (_, receiver)] = taps.as_mut_slice() else { panic!("a cable has two ends") };
            for (name, tags, length) in [
                ("9014 bytes", vec![], 9000),
                ("a full packet", vec![], 9500),
                ("a full packet behind a tag", vec![(0x8100, 30)], 9500),
            ] {
                let frame = Frame { name, bytes: tagged(target, source, &tags, 0x0800, &packet_of(length)) };
                assert_eq!(wrong(&bench, &frame, sender, receiver), None, "{name}");
            }
            assert!(sender.send(&ethernet(target, source, 0x0800, &packet_of(9600))).is_err());
        });
    });
}

/// The same bytes on either side, without keeping them.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, block: &mut [u8]) {
        for eight in block.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            eight.copy_from_slice(&self.0.to_le_bytes()[..eight.len()]);
        }
    }
}

const BLOCK: usize = 64 * 1024;
const BLOCKS: usize = 640;

/// Takes one connection and answers how many blocks came that were as sent.
fn take_blocks(listener: &TcpListener) -> usize {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(slowly(Duration::from_secs(20)))).unwrap();
    let (mut noise, mut want, mut got) = (Noise(7), vec![0; BLOCK], vec![0; BLOCK]);
    let mut right = 0;
    while stream.read_exact(&mut got).is_ok() {
        noise.fill(&mut want);
        right += usize::from(got == want);
    }
    right
}

#[test]
fn tcp_carries_forty_megabytes_unharmed_with_the_kernels_checksums_left_to_no_one() {
    sandbox(|| {
        block_on(async {
            let bench = Bench::deploy(Plan::cables(2, &[(0, 1)]).spec(1)).await;
            // The kernel's datapath lets the checksum be made by whoever needs it; userspace's would lose it.
            let offload = if bench.in_kernel() { "tx-checksumming: on" } else { "tx-checksumming: off" };
            let nodes = ["clab-lab0-n0", "clab-lab0-n1"];
            for (node, address) in nodes.iter().zip(["10.9.8.1/24", "10.9.8.2/24"]) {
                run("ip", ["-n", *node, "addr", "add", address, "dev", "eth1"]);
                let features = inside(node, || run("ethtool", ["-k", "eth1"]));
                assert!(features.contains(offload), "{node}: {features}");
            }
            let listener = inside(nodes[1], || TcpListener::bind("10.9.8.2:5001").unwrap());
            let taker = std::thread::spawn(move || take_blocks(&listener));
            let sender = std::thread::spawn(move || {
                enter(nodes[0]);
                let to = "10.9.8.2:5001".parse().unwrap();
                let mut stream = TcpStream::connect_timeout(&to, slowly(Duration::from_secs(5))).unwrap();
                let (mut noise, mut block) = (Noise(7), vec![0; BLOCK]);
                for _ in 0..BLOCKS {
                    noise.fill(&mut block);
                    stream.write_all(&block).unwrap();
                }
            });
            sender.join().unwrap();
            assert_eq!(taker.join().unwrap(), BLOCKS);
        });
    });
}

/// A broadcast with a number that no other frame has.
fn shout(source: Address, number: u64) -> Vec<u8> {
    ethernet(BROADCAST, source, 0x88b6, &[b"shout, ".as_slice(), &number.to_be_bytes()].concat())
}

fn number_of(frame: &[u8]) -> Option<u64> {
    let ours = frame.get(12..21)? == [&[0x88, 0xb6], b"shout, ".as_slice()].concat();
    ours.then(|| Some(u64::from_be_bytes(frame.get(21..29)?.try_into().ok()?)))?
}

/// Shouts at every end, and answers for each which ends heard it, as often as they did.
fn who_hears_whom(spec: &HostSpec, taps: &mut BTreeMap<EndRef, Tap>) -> BTreeMap<EndRef, Vec<EndRef>> {
    taps.values_mut().for_each(|tap| drop(tap.all_within(Duration::ZERO)));
    let ends: Vec<EndRef> = taps.keys().cloned().collect();
    for (number, end) in (0u64..).zip(&ends) {
        taps[end].send(&shout(address(spec, end), number)).unwrap();
    }
    let mut heard: BTreeMap<EndRef, Vec<EndRef>> = ends.iter().map(|end| (end.clone(), Vec::new())).collect();
    let until = Instant::now() + slowly(LOST);
    let wanted = partners(spec);
    for (end, tap) in taps.iter_mut() {
        let mut due = wanted[end].len();
        while due > 0
            && let Some(frame) = tap.next(until)
        {
            due -= usize::from(note(&mut heard, &ends, end, &frame));
        }
    }
    // What nobody is to hear may still come; the first waits for it, and with it all.
    let mut patience = slowly(QUIET);
    for (end, tap) in taps {
        for frame in tap.all_within(patience) {
            note(&mut heard, &ends, end, &frame);
        }
        patience = Duration::ZERO;
    }
    heard.values_mut().for_each(|by| by.sort());
    heard
}

/// Notes who heard a shout, if it is one.
fn note(heard: &mut BTreeMap<EndRef, Vec<EndRef>>, ends: &[EndRef], by: &EndRef, frame: &[u8]) -> bool {
    let Some(number) = number_of(frame) else { return false };
    heard.get_mut(&ends[usize::try_from(number).unwrap()]).unwrap().push(by.clone());
    true
}

/// Who is to hear whom: the other ends of the same wire, once.
fn partners(spec: &HostSpec) -> BTreeMap<EndRef, Vec<EndRef>> {
    let of = |wire: &archetype_model::spec::WireSpec, end: &EndRef| {
        let mut others: Vec<EndRef> = wire.ends.iter().filter(|other| *other != end).cloned().collect();
        others.sort();
        others
    };
    let wires = spec.wires().map(|(_, wire)| wire);
    wires.flat_map(|wire| wire.ends.iter().map(move |end| (end.clone(), of(wire, end)))).collect()
}

/// The ports of Open vSwitch by tag, the bridge's own left out.
fn ports_by_tag(bench: &Bench) -> BTreeMap<u16, BTreeSet<String>> {
    let mut by_tag: BTreeMap<u16, BTreeSet<String>> = BTreeMap::new();
    let rows = bench.ovs.vsctl(["--no-headings", "--format=csv", "--columns=name,tag,vlan_mode", "list", "port"]);
    for row in rows.lines().filter(|row| !row.starts_with("arch-ovs,")) {
        let [name, tag, mode] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        assert_eq!(mode, "dot1q-tunnel", "{row}");
        by_tag.entry(tag.parse().unwrap()).or_default().insert(name.to_string());
    }
    by_tag
}

fn wanted_by_tag(spec: &HostSpec) -> BTreeMap<u16, BTreeSet<String>> {
    let device = |end: &EndRef| spec.labs[0].interface(end).unwrap().1.host_device.to_string();
    spec.wires().map(|(_, wire)| (wire.tag.get(), wire.ends.iter().map(device).collect())).collect()
}

/// Random topologies on the real thing; the planner's own laws see many more.
const CASES: u64 = 6;

/// Six nodes and up to eight wires: cables, some of them from a node to itself, and LANs.
fn arbitrary_plan() -> impl Strategy<Value = Plan> {
    let cable = (0..6usize, 0..6usize).prop_map(|(a, b)| (WireShape::Cable, vec![a, b]));
    let lan = prop::collection::vec(0..6usize, 2..5).prop_map(|members| (WireShape::Lan, members));
    let wires = prop::collection::vec(prop_oneof![4 => cable, 1 => lan], 4..9);
    wires.prop_map(|wires| Plan { nodes: 6, wires })
}

#[test]
fn on_random_topologies_each_frame_comes_to_the_ends_of_its_own_wire_once_and_to_nobody_else() {
    sandbox(|| {
        block_on(async {
            let mut runner = proptest::test_runner::TestRunner::deterministic();
            let mut plan = || arbitrary_plan().new_tree(&mut runner).unwrap().current();
            let mut bench = Bench::deploy(plan().spec(1)).await;
            run("ip", ["link", "set", "arch-ovs", "up"]);
            let mut bridge = Tap::here("arch-ovs");
            for number in 1..=CASES {
                let spec = bench.spec.clone();
                assert_eq!(who_hears_whom(&spec, &mut taps(&spec)), partners(&spec));
                assert_eq!(ports_by_tag(&bench), wanted_by_tag(&spec));
                let overheard = bridge.all_within(Duration::ZERO);
                assert!(overheard.is_empty(), "the bridge's own port hears {overheard:02x?}");
                bench.destroy().await;
                if number < CASES {
                    bench.tell(plan().spec(2 * number + 1)).await;
                    bench.all_up().await;
                }
            }
        });
    });
}

#[test]
fn the_bridges_own_port_is_taken_off_the_wires_again_when_somebody_puts_it_there() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(Plan::cables(2, &[(0, 1)]).spec(1)).await;
            bench.ovs.vsctl(["clear", "port", "arch-ovs", "tag"]);
            bench.until("it is mended", |_, envelope| !envelope.repairs.is_empty()).await;
            assert_eq!(bench.ovs.vsctl(["get", "port", "arch-ovs", "tag"]).trim(), "4095");
        });
    });
}

#[test]
fn deployed_destroyed_and_deployed_at_once_twenty_times_all_links_carry_each_time() {
    sandbox(|| {
        block_on(async {
            let plan = Plan::cables(4, &[(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3)]);
            let mut bench = Bench::deploy(plan.spec(1)).await;
            for round in 1..=20 {
                let spec = bench.spec.clone();
                assert_eq!(who_hears_whom(&spec, &mut taps(&spec)), partners(&spec), "round {round}");
                match round % 3 {
                    // Not one of them waits for the end of the one before.
                    0 => bench.destroy().await,
                    one => {
                        bench.tell(gone(&spec)).await;
                        tokio::time::sleep(Duration::from_millis(20 * (one - 1))).await;
                    }
                }
                bench.tell(plan.spec(2 * round + 1)).await;
                bench.all_up().await;
            }
            let spec = bench.spec.clone();
            assert_eq!(who_hears_whom(&spec, &mut taps(&spec)), partners(&spec));
        });
    });
}

#[test]
fn a_lan_floods_what_it_does_not_know_and_learns_where_its_members_are() {
    sandbox(|| {
        block_on(async {
            let bench = Bench::deploy(Plan::lan(3).spec(1)).await;
            let spec = bench.spec.clone();
            let mut taps = taps(&spec);
            assert_eq!(who_hears_whom(&spec, &mut taps), partners(&spec));
            let ends: Vec<EndRef> = taps.keys().cloned().collect();
            let (from, to, third) = (&ends[0], &ends[1], &ends[2]);
            // Everybody has shouted, so everybody's place is known.
            let frame = ethernet(address(&spec, to), address(&spec, from), 0x0800, &packet_of(64));
            taps[from].send(&frame).unwrap();
            assert_eq!(taps.get_mut(to).unwrap().next(Instant::now() + slowly(LOST)), Some(frame));
            assert_eq!(taps.get_mut(to).unwrap().all_within(slowly(QUIET)), Vec::<Vec<u8>>::new());
            assert_eq!(taps.get_mut(third).unwrap().all_within(Duration::ZERO), Vec::<Vec<u8>>::new());
        });
    });
}

/// A LAN of three of which the last member's node is wanted stopped.
fn lan_with_one_stopped() -> HostSpec {
    let mut spec = Plan::lan(3).spec(1);
    spec.labs[0].nodes[2].desired = DesiredRun::Stopped;
    spec
}

#[test]
fn a_member_that_does_not_run_or_is_shut_holds_no_other_member_of_its_lan_down() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::accept(lan_with_one_stopped()).await;
            let [first, second, third] = <[EndRef; 3]>::try_from(bench.spec.labs[0].wires[0].ends.clone()).unwrap();
            bench.links_are(&[(&first, LinkState::Up), (&second, LinkState::Up), (&third, LinkState::Pending)]).await;
            let mut spec = (*bench.spec).clone();
            spec.generation.number = 2;
            spec.labs[0].nodes[2].desired = DesiredRun::Running;
            bench.tell(spec).await;
            bench.all_up().await;
            run("ip", ["-n", "clab-lab0-n0", "link", "set", "eth1", "down"]);
            bench.links_are(&[(&first, LinkState::Down), (&second, LinkState::Up), (&third, LinkState::Up)]).await;
            run("ip", ["-n", "clab-lab0-n0", "link", "set", "eth1", "up"]);
            bench.all_up().await;
        });
    });
}

#[test]
fn a_member_alone_in_its_lan_is_up_when_its_frames_come_to_its_port_and_only_then() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(Plan::lan(1).spec(1)).await;
            let end = bench.spec.labs[0].wires[0].ends[0].clone();
            run(
                "tc",
                [
                    "-n",
                    "clab-lab0-n0",
                    "qdisc",
                    "add",
                    "dev",
                    "eth1",
                    "root",
                    "tbf",
                    "rate",
                    "8bit",
                    "burst",
                    "1",
                    "limit",
                    "1",
                ],
            );
            bench.handle.verify(None).await;
            bench.links_are(&[(&end, LinkState::Error)]).await;
            run("tc", ["-n", "clab-lab0-n0", "qdisc", "del", "dev", "eth1", "root"]);
            bench.all_up().await;
        });
    });
}
