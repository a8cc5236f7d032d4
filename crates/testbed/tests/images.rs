//! The images that the labs name do what the labs need of them, stand-ins or not.

use std::time::Duration;

use archetype_testbed::{Engine, eventually, need_lab_images, run, sandbox, scratch, scratch_dir};

const FRR: &str = "quay.io/frrouting/frr:10.5.1";
const MULTITOOL: &str = "wbitt/network-multitool:3.22.2";

#[test]
fn two_routers_become_neighbours_and_answer_vtysh() {
    need_lab_images();
    sandbox(|| {
        let engine = Engine::start(scratch_dir("engine"), &[]);
        engine.load_lab_images();
        for number in [1, 2] {
            start_router(&engine, number);
        }
        let pids = ["r1", "r2"].map(|name| engine.docker(["inspect", "-f", "{{.State.Pid}}", name]).trim().to_owned());
        let [first, second] = &pids;
        run("ip", ["link", "add", "eth1", "netns", first, "type", "veth", "peer", "name", "eth1", "netns", second]);
        for pid in &pids {
            run("nsenter", ["-t", pid, "-n", "ip", "link", "set", "eth1", "up"]);
        }
        eventually(Duration::from_secs(90), "both routers are full neighbours", || {
            let told = engine.try_docker(["exec", "r1", "vtysh", "-c", "show ip ospf neighbor"]).ok()?;
            told.contains("Full").then_some(())
        });
        eventually(Duration::from_secs(20), "the other's loopback is learned", || {
            let route = engine.docker(["exec", "r1", "ip", "route", "show", "10.10.10.2"]);
            route.contains("eth1").then_some(())
        });
        engine.docker(["restart", "-t", "5", "r2"]);
        eventually(Duration::from_secs(20), "vtysh answers after a restart", || {
            let told = engine.try_docker(["exec", "r2", "vtysh", "-c", "show running-config"]).ok()?;
            told.contains("router ospf").then_some(())
        });
    });
}

#[test]
fn a_multitool_stays_and_has_the_tools_of_a_pc() {
    need_lab_images();
    sandbox(|| {
        let engine = Engine::start(scratch_dir("engine"), &[]);
        engine.load_lab_images();
        engine.docker(["run", "-d", "--name", "pc", "--network", "none", MULTITOOL]);
        eventually(Duration::from_secs(10), "its web server answers", || {
            engine.try_docker(["exec", "pc", "wget", "-qO-", "http://127.0.0.1/"]).ok()
        });
        engine.docker(["exec", "pc", "ping", "-c", "1", "127.0.0.1"]);
        for tool in ["bash", "tcpdump", "ethtool", "nc", "traceroute", "lldpcli", "tc", "bridge", "ss", "nslookup"] {
            engine.docker(["exec", "pc", "which", tool]);
        }
        engine.docker(["exec", "pc", "tcpdump", "--version"]);
        engine.docker(["exec", "pc", "lldpcli", "-v"]);
        let stand_in = "{{index .Config.Labels \"archetype.stand-in\"}}";
        println!("stand-in: {}", engine.docker(["image", "inspect", "-f", stand_in, MULTITOOL]).trim());
    });
}

fn start_router(engine: &Engine, number: u8) {
    let name = format!("r{number}");
    let folder = scratch().join(&name);
    std::fs::create_dir(&folder).expect("a new folder");
    let daemons = "zebra=yes\nospfd=yes\nldpd=yes\nvtysh_enable=yes\nzebra_options=\" -s 90000000 --daemon -A 127.0.0.1\"\n\
                   ospfd_options=\" --daemon -A 127.0.0.1\"\nldpd_options=\" --daemon -A 127.0.0.1\"\n";
    let settings = format!(
        "frr version 10.5.1\nfrr defaults traditional\nhostname {name}\nno ipv6 forwarding\n!\ninterface eth1\n \
         ip address 192.168.1.{number}/24\n ip ospf network point-to-point\n!\ninterface lo\n ip address 10.10.10.{number}/32\n!\nrouter ospf\n \
         network 192.168.1.0/24 area 0.0.0.0\n network 10.10.10.0/24 area 0.0.0.0\n!\nline vty\n!\n"
    );
    std::fs::write(folder.join("daemons"), daemons).expect("a new file");
    std::fs::write(folder.join("frr.conf"), settings).expect("a new file");
    let bind = |file: &str| format!("{}:/etc/frr/{file}", folder.join(file).display());
    let capabilities = ["--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW", "--cap-add", "SYS_ADMIN"];
    let mut args = vec!["run", "-d", "--name", &name, "--network", "none", "--sysctl", "net.ipv4.ip_forward=1"];
    args.extend(capabilities);
    let (daemons, settings) = (bind("daemons"), bind("frr.conf"));
    args.extend(["-v", &daemons, "-v", &settings, FRR]);
    engine.docker(args);
}
