//! What a `linux` node may use of a topology file, seen from inside real nodes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::time::Duration;

use serde_json::Value;
use world::{World, eventually, on_a_machine};

const LIMIT: Duration = Duration::from_secs(180);
const SOON: Duration = Duration::from_secs(30);

/// Waits for a node's state.
#[track_caller]
fn until(world: &World, lab: &str, name: &str, state: &str) -> Value {
    eventually(SOON, &format!("{name} is {state}"), || {
        let node = world.node(lab, name);
        (node["state"] == state).then_some(node)
    })
}

/// Four nodes under four policies, of either sort, each of which ends when `shared/NAME.end` says with what.
fn policies(sort: &str) -> String {
    let label = match sort {
        "namespace" => "labels: {archetype.runtime: namespace}",
        _ => "image: bb",
    };
    let node = |name: &str, policy: &str| {
        format!(
            "    {name}:\n      kind: linux\n      {label}\n{policy}      binds: [shared:/mnt]\n      cmd: >-\n        sh -c 'echo >> /mnt/{name}.starts; while [ ! -e /mnt/{name}.end ]; do sleep 0.1; done; \
             code=$(cat /mnt/{name}.end); rm /mnt/{name}.end; exit $code'\n"
        )
    };
    let policy = |word: &str| format!("      restart-policy: \"{word}\"\n");
    format!(
        "name: policies\ntopology:\n  nodes:\n{}{}{}{}  links:\n    - endpoints: [\"never:eth1\", \"stated:eth1\"]\n",
        node("never", &policy("no")),
        node("failing", &policy("on-failure")),
        node("stated", &policy("unless-stopped")),
        node("unstated", ""),
    )
}

fn a_restart_policy_is_carried_out(world: &mut World, sort: &str) {
    if sort == "container" {
        world.engine.import_busybox("bb");
    }
    let shared = world.folder.join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::create_dir_all("/mnt").unwrap();
    let starts = |name: &str| std::fs::read_to_string(shared.join(format!("{name}.starts"))).unwrap_or_default().len();
    let end = |name: &str, code: &str| std::fs::write(shared.join(format!("{name}.end")), code).unwrap();
    world.write("policies.clab.yml", &policies(sort));
    world.cli(["deploy", "-t", "policies.clab.yml", "--wait", "60s"]).fine();

    // With status 0 the first two stay ended, and that is as the file wants it.
    for name in ["never", "failing", "stated", "unstated"] {
        end(name, "0");
    }
    for name in ["never", "failing"] {
        let ended = until(world, "policies", name, "exited");
        let reason = ended["reason"].as_str().unwrap();
        assert!(reason.starts_with("exit status 0; stays so by restart-policy "), "{reason}");
    }
    for name in ["stated", "unstated"] {
        eventually(SOON, "it starts again", || (starts(name) == 2).then_some(()));
    }
    let lab = world.until_up("policies", SOON);
    let link = &lab["links"][0];
    assert_eq!(link["actual_state"], "pending", "{link}");
    assert!(link["reason"].as_str().unwrap().contains("never, which ended (exit status 0)"), "{link}");

    // Neither time, nor another life of serve, nor the same file again starts them.
    world.serve.kill9();
    world.serve.start();
    world.cli(["deploy", "-t", "policies.clab.yml"]).fine();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((starts("never"), starts("failing")), (1, 1));

    // A person does, by either word.
    world.cli(["node", "policies", "never", "start"]).fine();
    world.cli(["node", "policies", "failing", "restart"]).fine();
    world.until_up("policies", SOON);
    eventually(SOON, "both have started", || ((starts("never"), starts("failing")) == (2, 2)).then_some(()));

    // With another status only `no` stays ended, and the lab says so.
    end("failing", "4");
    eventually(SOON, "it starts again", || (starts("failing") == 3).then_some(()));
    end("never", "4");
    until(world, "policies", "never", "exited");
    let lab = eventually(SOON, "the lab is degraded", || {
        let lab = world.lab("policies");
        (lab["state"] == "degraded").then_some(lab)
    });
    assert!(lab["reason"].as_str().unwrap().contains("never: exit status 4"), "{lab}");
    // Who waits for the lab is told that this one stays so, and not by the end of the time; who waits for another node
    // did not ask for it.
    let told = world.cli(["node", "policies", "stated", "restart", "--wait", "150s"]).fine();
    assert_eq!(told.stdout, "stated was started again\n");
    let told = world.cli(["deploy", "-t", "policies.clab.yml", "--wait", "150s"]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stderr.contains("node never is exited: exit status 4; stays so by restart-policy no"), "{told:?}");

    // Stopped by wish and started by wish, a node with `no` runs again.
    world.cli(["node", "policies", "never", "stop"]).fine();
    until(world, "policies", "never", "stopped");
    world.cli(["node", "policies", "never", "start"]).fine();
    until(world, "policies", "never", "running");
    world.cli(["node", "policies", "never", "stop"]).fine();
    until(world, "policies", "never", "stopped");
    world.cli(["node", "policies", "never", "start"]).fine();
    world.until_up("policies", SOON);
    assert_eq!(starts("never"), 4);
    world.cli(["destroy", "policies"]).fine();
}

#[test]
fn a_restart_policy_is_carried_out_for_containers() {
    on_a_machine(LIMIT, |world| a_restart_policy_is_carried_out(world, "container"));
}

#[test]
fn a_restart_policy_is_carried_out_for_namespaces() {
    on_a_machine(LIMIT, |world| a_restart_policy_is_carried_out(world, "namespace"));
}

/// Every key of a `linux` node that a container is made with.
const KEYS: &str = r#"
name: keys
topology:
  kinds:
    linux: {image: bb, cmd: sleep 100000}
  nodes:
    a:
      kind: linux
      hostname: other-name
      privileged: false
      cap-add: [NET_ADMIN, SYS_PTRACE]
      security-opts: ["no-new-privileges:true"]
      cgroupns-mode: private
      cgroup-parent: /archetype-keys
      memory: 64MiB
      cpu: 0.5
      cpu-set: "0"
      shm-size: 8MiB
      sysctls: {net.ipv4.ip_forward: 1, net.ipv4.ip_default_ttl: "77"}
      tmpfs: {/scratch: "size=1m,mode=700"}
      volumes: ["kept:/kept", "__clabNodeName__-magic:/magic:ro", /unnamed]
      devices: ["/dev/loop-control:/dev/mine:r"]
      env: {WORD: hello}
      dns: {servers: [198.18.0.53, 198.18.0.54], search: [lab.example], options: [rotate, "ndots:3"]}
      binds: ["shared:/shared:ro"]
    b:
      kind: linux
      aliases: [b.example, beta]
      pid-mode: host
      user: "65534:65534"
      exec: ["sh -c 'id -u > /listed'"]
      ports: ["18080:80", "127.0.0.1:18081:80", "18090-18091:80-81", "18053:53/udp"]
      cap-add: [NET_BIND_SERVICE]
      entrypoint: sh -c
      cmd: >-
        'httpd -p 81 -h /etc; exec httpd -f -p 80 -h /etc'
    c:
      kind: linux
      pid-mode: container:a
    unmanaged:
      kind: linux
      network-mode: none
    of-host:
      kind: linux
      network-mode: host
  links:
    - endpoints: ["unmanaged:eth0", "a:eth1"]
"#;

/// What a shell inside the node prints for a line.
#[track_caller]
fn said(world: &World, node: &str, line: &str) -> String {
    let shell = ["exec", "keys", node, "--", "sh", "-c", line];
    world.cli(shell).fine().stdout.replace('\r', "").trim().to_owned()
}

#[test]
fn every_key_of_a_container_is_seen_from_inside() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        std::fs::create_dir(world.folder.join("shared")).unwrap();
        world.write("keys.clab.yml", KEYS);
        world.cli(["deploy", "-t", "keys.clab.yml", "--wait", "60s"]).fine();
        for (node, line, wanted) in seen_inside() {
            let said = said(world, node, line);
            assert!(said == *wanted, "{node}: {line}\n  says   {said}\n  wanted {wanted}");
        }
        what_only_the_engine_tells(world);
        the_published_ports_answer(world);
        volumes_live_as_long_as_they_are_to(world);
    });
}

/// A node, a line for its shell, and what that prints.
fn seen_inside() -> &'static [(&'static str, &'static str, &'static str)] {
    &[
        ("a", "hostname", "other-name"),
        ("a", "echo $WORD", "hello"),
        // NET_ADMIN is 12, SYS_PTRACE 19; SYS_ADMIN, 21, is not given.
        (
            "a",
            "c=$(awk '/CapBnd/{print $2}' /proc/1/status); echo $((0x$c >> 12 & 1)) $((0x$c >> 19 & 1)) $((0x$c >> 21 & 1))",
            "1 1 0",
        ),
        ("a", "awk '/NoNewPrivs/{print $2}' /proc/1/status", "1"),
        ("a", "df -k /dev/shm | awk 'NR==2{print $2}'", "8192"),
        ("a", "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_default_ttl | tr '\\n' ' '", "1 77"),
        ("a", "df -k /scratch | awk 'NR==2{print $1,$2}'", "tmpfs 1024"),
        ("a", "stat -c %a /scratch", "700"),
        ("a", "(: < /dev/mine) 2>/dev/null && echo opened || echo refused", "opened"),
        ("a", "(: > /dev/mine) 2>/dev/null && echo opened || echo refused", "refused"),
        ("a", "awk '/Cpus_allowed_list/{print $2}' /proc/self/status", "0"),
        (
            "a",
            "cat /etc/resolv.conf | grep '^[^#]' | sort | tr '\\n' ';'",
            "nameserver 198.18.0.53;nameserver 198.18.0.54;options rotate ndots:3;search lab.example;",
        ),
        ("a", "touch /shared/x 2>/dev/null && echo written || echo refused", "refused"),
        (
            "a",
            "for f in /kept /magic /unnamed; do touch $f/x 2>/dev/null && echo written || echo refused; done | tr '\\n' ' '",
            "written refused written",
        ),
        (
            "a",
            "ping -c1 -W2 beta >/dev/null && ping -c1 -W2 b.example >/dev/null && ping -c1 -W2 clab-keys-b >/dev/null && echo reached",
            "reached",
        ),
        ("a", "ls /sys/class/net | tr '\\n' ' '", "eth0 eth1 lo"),
        // Its program runs as the user that is stated, commands from outside as root, as with containerlab.
        ("b", "cat /listed; id -u; id -g", "0\n0\n0"),
        // The host's first process of this machine is the sandbox's.
        ("b", "[ $(ls -d /proc/[0-9]* | wc -l) -gt 5 ] && echo many", "many"),
        ("c", "cat /proc/1/cmdline | tr '\\0' ' '", "sleep 100000"),
        ("c", "ls -d /proc/[0-9]* | wc -l | awk '{print ($1 > 1)}'", "1"),
        ("unmanaged", "ls /sys/class/net | tr '\\n' ' '", "eth0 lo"),
        ("unmanaged", "ip -4 addr show dev eth0", ""),
        ("of-host", "ls /sys/class/net | grep -c '^docker0$'", "1"),
    ]
}

/// Limits, which an older kernel does not show inside.
fn what_only_the_engine_tells(world: &World) {
    let inspected = |format: &str| world.docker(["inspect", "-f", format, "clab-keys-a"]).trim().to_owned();
    assert_eq!(
        inspected("{{.HostConfig.Memory}} {{.HostConfig.CpuQuota}}/{{.HostConfig.CpuPeriod}}"),
        "67108864 50000/100000"
    );
    assert_eq!(inspected("{{.HostConfig.CgroupnsMode}} {{.HostConfig.CgroupParent}}"), "private /archetype-keys");
    let of_b = world.docker(["inspect", "-f", "{{.State.Pid}}", "clab-keys-b"]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", of_b.trim())).unwrap();
    assert!(["Uid:\t65534\t", "Gid:\t65534\t"].iter().all(|line| status.contains(line)), "{status}");
    let pid = inspected("{{.State.Pid}}");
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let group = |controller: &str| {
        let line = groups.lines().find(|line| line.split(':').nth(1).unwrap().split(',').any(|one| one == controller));
        line.and_then(|line| line.split(':').nth(2)).map(str::to_owned)
    };
    // Where the kernel has the older groups, what it holds the node to is read there.
    if let Some(memory) = group("memory") {
        assert!(memory.starts_with("/archetype-keys/"), "{memory}");
        let limit = std::fs::read_to_string(format!("/sys/fs/cgroup/memory{memory}/memory.limit_in_bytes")).unwrap();
        assert_eq!(limit.trim(), "67108864");
    }
}

fn the_published_ports_answer(world: &World) {
    let fetched = |address: &str| {
        eventually(SOON, &format!("{address} answers"), || {
            world::attempt("busybox", ["wget", "-q", "-O", "-", &format!("http://{address}/hostname")]).ok()
        })
    };
    let own = said(world, "b", "cat /etc/hostname");
    for address in ["127.0.0.1:18080", "127.0.0.1:18081", "127.0.0.1:18090", "127.0.0.1:18091"] {
        assert_eq!(fetched(address).trim(), own, "{address}");
    }
    let other = |port: &str| {
        world::attempt("busybox", ["wget", "-q", "-O", "-", &format!("http://172.20.20.1:{port}/hostname")])
    };
    assert_eq!(other("18080").as_deref().map(str::trim), Ok(own.as_str()));
    let (elsewhere, words) = (other("18081"), "a port of one address is served at that address alone");
    assert!(elsewhere.is_err(), "{words}: {elsewhere:?}");
    let ports = world.node("keys", "b")["ports"].clone();
    assert_eq!(ports.as_array().unwrap().len(), 5, "{ports}");
}

/// As containerlab: one with a name outlives the lab, one without goes with its node.
fn volumes_live_as_long_as_they_are_to(world: &World) {
    let volumes = || world.docker(["volume", "ls", "-q"]).lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(volumes().len(), 3, "{:?}", volumes());
    world.cli(["deploy", "-t", "keys.clab.yml", "--reload", "a", "--wait", "60s"]).fine();
    assert_eq!(said(world, "a", "ls /kept /unnamed | tr '\\n' ' '"), "/kept: x  /unnamed:");
    world.cli(["destroy", "keys"]).fine();
    let mut left = volumes();
    left.sort();
    assert_eq!(left, ["a-magic", "kept"]);
}

/// A node that is healthy while `shared/well` is there, of either sort.
fn checked(sort: &str) -> String {
    let what = match sort {
        "namespace" => "labels: {archetype.runtime: namespace}",
        _ => "image: bb",
    };
    format!(
        "name: checked\ntopology:\n  nodes:\n    a:\n      kind: linux\n      {what}\n      cmd: sleep 100000\n      \
         binds: [shared:/mnt]\n      exec: [\"true\"]\n      healthcheck:\n        test: [CMD-SHELL, test -e /mnt/well]\n        \
         interval: 1\n        timeout: 2\n        retries: 2\n        start-period: 0\n    plain:\n      kind: linux\n      \
         {what}\n      cmd: sleep 100000\n"
    )
}

fn a_health_check_is_carried_out(world: &mut World, sort: &str) {
    if sort == "container" {
        world.engine.import_busybox("bb");
    }
    let shared = world.folder.join("shared");
    std::fs::create_dir(&shared).unwrap();
    world.write("checked.clab.yml", &checked(sort));
    world.cli(["deploy", "-t", "checked.clab.yml", "--wait", "60s"]).fine();
    let until = |health: &str, ready: bool| {
        eventually(SOON, &format!("it is {health}"), || {
            let node = world.node("checked", "a");
            (node["health"] == health && node["ready"] == ready).then_some(())
        });
    };
    until("unhealthy", false);
    std::fs::write(shared.join("well"), "").unwrap();
    until("healthy", true);
    std::fs::remove_file(shared.join("well")).unwrap();
    until("unhealthy", false);
    let plain = world.node("checked", "plain");
    assert_eq!((&plain["health"], &plain["ready"]), (&Value::Null, &true.into()), "{plain}");
}

#[test]
fn a_health_check_is_carried_out_for_containers() {
    on_a_machine(LIMIT, |world| a_health_check_is_carried_out(world, "container"));
}

#[test]
fn a_health_check_is_carried_out_for_namespaces() {
    on_a_machine(LIMIT, |world| {
        a_health_check_is_carried_out(world, "namespace");
        // Another life of serve goes on checking.
        world.serve.kill9();
        world.serve.start();
        std::fs::write(world.folder.join("shared/well"), "").unwrap();
        eventually(SOON, "it is healthy", || (world.node("checked", "a")["health"] == "healthy").then_some(()));
    });
}

/// Images that answer as those do that containerlab's lab names, made of busybox.
fn make_smoke_images(world: &World) {
    world.engine.import_busybox("bb");
    let make = "mkdir -p /www; echo 'Thank you for using nginx' > /www/index.html; echo ID=alpine > /etc/os-release; \
                ln -sf /bin/busybox /bin/ash";
    world.docker(["run", "--name", "maker", "--network", "none", "bb", "sh", "-c", make]);
    world.docker(["commit", "maker", "alpine:3"]);
    let serves = "CMD [\"httpd\", \"-f\", \"-p\", \"80\", \"-h\", \"/www\"]";
    world.docker(["commit", "--change", serves, "maker", "nginx:stable-alpine"]);
    world.docker(["rm", "maker"]);
}

const SMOKE: &str = "2-linux-nodes";

/// What a command says inside a node of containerlab's lab, by Docker and not by us.
#[track_caller]
fn docker_says(world: &World, node: &str, line: &str) -> String {
    world.docker(["exec", &format!("clab-{SMOKE}-{node}"), "sh", "-c", line]).trim().to_owned()
}

/// containerlab's smoke lab and what its own test of it looks at, in that order; the dummy link left out.
#[test]
fn containerlabs_smoke_lab_passes_what_its_own_test_asks() {
    on_a_machine(LIMIT, |world| {
        make_smoke_images(world);
        world.folder = world.copy_lab("tests/01-smoke");
        let file = "01-linux-nodes.clab.yml";
        let deployed = world.cli(["deploy", "-t", file, "--partial", "--wait", "60s"]).fine();
        assert!(deployed.stdout.starts_with("2-linux-nodes is up"), "{}", deployed.stdout);
        let (l1, l2) = (world.node(SMOKE, "l1"), world.node(SMOKE, "l2"));

        // The commands of exec.
        assert_eq!(l1["execs"][0]["output"], "this_is_an_exec_test\n");
        assert!(l1["execs"][1]["output"].as_str().unwrap().contains("ID=alpine"), "{l1}");
        // Names, the environment, binds.
        for name in ["l1", "l2"] {
            assert_eq!(world.exec(SMOKE, name, "uname -n").fine().stdout.trim(), name);
        }
        assert!(world.exec(SMOKE, "l1", "cat /test.json").fine().stdout.contains("is cool"));
        assert!(docker_says(world, "l1", "cat 01-test.txt").contains("Hello, containerlab"));
        assert_eq!(docker_says(world, "l1", "echo $CLAB_INTFS"), "3");
        assert_eq!(
            docker_says(world, "l1", "echo $NO_PROXY"),
            "localhost,127.0.0.1,::1,*.local,172.20.20.0/24,172.20.20.100,172.20.20.99,3fff:172:20:20::/64,\
             3fff:172:20:20::100,3fff:172:20:20::99,l1,l2,l3"
        );
        assert_eq!(docker_says(world, "l1", "cat /tmp/var"), "MYVAR is SET");
        the_links_are_as_the_file_says(world);

        // The published port, static addresses, names.
        let served = || world::attempt("busybox", ["wget", "-q", "-O", "-", "http://127.0.0.1:56180/"]);
        let page = eventually(SOON, "the published port answers", || served().ok());
        assert!(page.contains("Thank you for using nginx"), "{page}");
        assert_eq!(l2["management"]["ipv4"], "172.20.20.100");
        assert!(docker_says(world, "l2", "ip addr show dev eth0").contains("inet 172.20.20.100/24"));
        assert!(docker_says(world, "l2", "ip addr show dev eth0").contains("inet6 3fff:172:20:20::100/64"));
        for address in ["l2", "l2.mydomain.com", "clab-2-linux-nodes-l2"] {
            docker_says(world, "l1", &format!("ping -c 1 -W 2 {address}"));
        }
        let hosts = std::fs::read_to_string(world.hosts_file()).unwrap();
        assert!(hosts.contains("172.20.20.99") && hosts.contains("3fff:172:20:20::100"), "{hosts}");
        // Limits, resolvers, health.
        let limits = "{{.HostConfig.CpuQuota}}/{{.HostConfig.CpuPeriod}} {{.HostConfig.Memory}}";
        let limits = world.docker(["inspect", "-f", limits, "clab-2-linux-nodes-l1"]);
        assert_eq!(limits.trim(), "150000/100000 1000000000");
        let resolvers = docker_says(world, "l2", "cat /etc/resolv.conf");
        for line in ["nameserver 8.8.8.8", "nameserver 1.2.3.4", "search my.domain", "options rotate"] {
            assert!(resolvers.contains(line), "{resolvers}");
        }
        eventually(SOON, "l1 is healthy", || (world.node(SMOKE, "l1")["health"] == "healthy").then_some(()));
        assert_eq!(world.node(SMOKE, "l1")["ready"], true);

        world.cli(["destroy", SMOKE]).fine();
        assert_eq!(world.docker(["ps", "-aq"]).trim(), "");
        assert!(!std::fs::read_to_string(world.hosts_file()).unwrap().contains("172.20.20."));
    });
}

fn the_links_are_as_the_file_says(world: &World) {
    for (name, interface, words) in [
        ("l1", "eth1", "mtu 2000"),
        ("l1", "eth2", "mtu 9500"),
        ("l1", "eth3", "02:00:00:00:00:00"),
        ("l2", "some1", "mtu 2000"),
        ("l2", "eth2", "mtu 9500"),
        ("l2", "eth3", "02:00:00:00:00:01"),
        ("l2", "eth4", "02:00:00:00:00:04"),
        ("l2", "eth5", "02:00:00:00:00:05"),
    ] {
        let shown = docker_says(world, name, &format!("ip link show {interface}"));
        assert!(shown.contains(words) && shown.contains(",UP"), "{name} {interface}: {shown}");
    }
    for device in ["l2eth4", "l2eth5mgmt"] {
        assert!(world::run("ip", ["link", "show", device]).contains(",UP"), "{device}");
    }
}

#[test]
fn certificates_are_in_the_labs_folder_before_nodes_start_and_outlive_the_lab() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        std::fs::create_dir_all("/mnt").unwrap();
        world.write(
            "tls.clab.yml",
            "name: tls\ntopology:\n  defaults: {kind: linux, certificate: {issue: true}}\n  nodes:\n    \
             c: {image: bb, cmd: sleep 1d, binds: ['__clabDir__/.tls/c:/tls:ro', '__clabDir__/.tls/ca/ca.pem:/ca.pem']}\n    \
             n: {labels: {archetype.runtime: namespace}, cmd: sleep 1d, binds: ['__clabDir__/.tls/n:/mnt:ro']}\n  \
             links:\n    - endpoints: [\"c:eth1\", \"n:eth1\"]\n",
        );
        let read = |name: &str| std::fs::read_to_string(world.folder.join("clab-tls/.tls").join(name)).unwrap();
        let seen = |node: &str, path: &str| world.exec("tls", node, &format!("cat {path}")).fine().stdout;
        world.cli(["deploy", "-t", "tls.clab.yml"]).fine();
        let files = ["ca/ca.pem", "ca/ca.key", "c/c.pem", "c/c.key", "n/n.pem", "n/n.key"];
        let first = files.map(read);
        assert_eq!(
            [seen("c", "/ca.pem"), seen("c", "/tls/c.pem"), seen("n", "/mnt/n.key")],
            [first[0].clone(), first[2].clone(), first[5].clone()]
        );
        world.cli(["deploy", "-t", "tls.clab.yml"]).fine();
        world.cli(["destroy", "-t", "tls.clab.yml"]).fine();
        world.cli(["deploy", "-t", "tls.clab.yml"]).fine();
        assert_eq!(files.map(read), first);
        assert_eq!(seen("c", "/tls/c.key"), first[3]);
        world.cli(["destroy", "-t", "tls.clab.yml", "--artefacts", ".", "--cleanup"]).fine();
        assert!(!world.folder.join("clab-tls").exists());
    });
}

#[test]
fn a_node_that_removes_itself_is_not_started_again() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        let mounted = world.folder.join("shared");
        std::fs::create_dir(&mounted).unwrap();
        world.write(
            "once.clab.yml",
            "name: once\ntopology:\n  defaults: {kind: linux, image: bb, binds: ['shared:/mnt']}\n  nodes:\n    \
             once: {auto-remove: true, restart-policy: always, cmd: sh -c 'echo >> /mnt/once'}\n    \
             again: {cmd: sh -c 'echo >> /mnt/again'}\n",
        );
        world.cli(["deploy", "-t", "once.clab.yml", "--no-wait"]).fine();
        let starts = |name: &str| std::fs::read_to_string(mounted.join(name)).unwrap_or_default().len();
        eventually(SOON, "the other one has started three times", || (starts("again") >= 3).then_some(()));
        until(world, "once", "once", "exited");
        assert_eq!(starts("once"), 1);
        world.cli(["destroy", "-t", "once.clab.yml"]).fine();
    });
}
