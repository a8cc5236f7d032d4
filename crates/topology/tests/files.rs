//! Files that a topology names: which must be there, and what the magic variables in their paths and in commands become.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::Path;

use archetype_model::topology::value::ExecTarget;
use archetype_topology::{Environment, Reading, read_text};

fn read(directory: &Path, text: &str, environment: &[(&str, &str)]) -> Reading {
    let given = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment: Environment = given.chain([("HOME".to_owned(), "/root".to_owned())]).collect();
    read_text("lab.clab.yml", directory, text, &environment)
}

#[test]
fn a_container_is_refused_without_the_files_that_it_names_and_no_other_node_is() {
    let text = "\
name: x
topology:
  defaults: {image: frr, startup-config: __clabNodeName__.cfg}
  nodes:
    r1: {kind: linux, license: ~/gone.lic}
    r2: {kind: linux, license: /nowhere}
    r3: {kind: linux, startup-config: \"https://example.org/r3.cfg\", license: \"a\\nlicense of two lines\"}
    r4: {kind: linux, startup-config: \"hostname __clabNodeName__\\n\"}
    r5: {kind: linux, labels: {archetype.runtime: namespace}, license: gone.lic}
    r6: {kind: nokia_srlinux, license: gone.lic}
    br: {kind: bridge, license: gone.lic}
";
    let reading = read(Path::new("/nowhere"), text, &[]);
    let shown: Vec<String> = reading.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    lab.clab.yml:3:42: node r1: startup-config "r1.cfg" does not exist: /nowhere/r1.cfg [startup-config-missing]
      hint: create it, or correct the path; relative paths begin at the topology file
    lab.clab.yml:3:42: node r2: startup-config "r2.cfg" does not exist: /nowhere/r2.cfg [startup-config-missing]
      hint: create it, or correct the path; relative paths begin at the topology file
    lab.clab.yml:5:32: node r1: license "~/gone.lic" does not exist: /root/gone.lic [license-missing]
      hint: create it, or correct the path; relative paths begin at the topology file
    lab.clab.yml:6:32: node r2: license "/nowhere" does not exist: /nowhere [license-missing]
      hint: create it, or correct the path; relative paths begin at the topology file
    "#);
    let folder = tempfile::tempdir().unwrap();
    for name in ["r1.cfg", "r2.cfg"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let reading = read(folder.path(), text, &[("HOME", folder.path().to_str().unwrap())]);
    let codes: Vec<&str> = reading.problems.iter().map(|problem| &*problem.code).collect();
    assert_eq!(codes, ["license-missing", "license-missing"]);
    assert_eq!(reading.topology.unwrap().nodes.len(), 7);
}

/// Where containerlab replaces them: the startup configuration's path, sources of binds, names of volumes, commands.
#[test]
fn magic_variables_become_names_and_paths_of_the_node_and_stand_elsewhere_as_they_are() {
    let all = "__clabNodeName__ __clabNodeDir__ __clabDir__ __clabLabName__";
    let text = format!(
        "\
name: x
topology:
  nodes:
    r1:
      kind: linux
      image: frr
      startup-config: __clabNodeName__/__clabLabName__.cfg
      binds: ['__clabNodeDir__/a:/__clabNodeName__', '__clabDir__/r1/a:/b', '__clabLabName__/r1/a:/c']
      volumes: ['__clabLabName__-__clabNodeName__:/v']
      env: {{ALL: {all}}}
      cmd: echo {all}
      entrypoint: sh __clabDir__
      exec: [echo {all}]
      stages: {{create: {{exec: [{{command: touch {all}, target: host}}]}}}}
"
    );
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    std::fs::create_dir_all(folder.path().join("clab-x/r1/a")).unwrap();
    std::fs::create_dir_all(folder.path().join("r1")).unwrap();
    std::fs::write(folder.path().join("r1/clab-x.cfg"), "").unwrap();
    let reading = read(folder.path(), &text, &[]);
    assert_eq!(reading.problems, []);
    let topology = reading.topology.unwrap();
    let node = &topology.nodes[0];
    let replaced = |rest: &str| format!("{rest} r1 {here}/clab-x/r1 {here}/clab-x clab-x");
    let sources: Vec<(&str, &str)> = node.binds.iter().map(|bind| (&*bind.target, &*bind.source)).collect();
    let source = format!("{here}/clab-x/r1/a");
    assert_eq!(sources, [("/b", &*source), ("/c", &*source), ("/__clabNodeName__", &*source)]);
    assert_eq!(node.volumes[0].name.as_deref(), Some("clab-x-r1"));
    assert_eq!(node.execs[0].join(" "), replaced("echo"));
    let [command] = &node.stage_commands[..] else { panic!("{:?}", node.stage_commands) };
    assert_eq!((command.words.join(" "), command.target), (replaced("touch"), ExecTarget::Host));
    assert_eq!(node.env["ALL"], all);
    assert_eq!(node.command.as_ref().unwrap().join(" "), format!("echo {all}"));
    assert_eq!(node.entrypoint.as_ref().unwrap().join(" "), "sh __clabDir__");
    assert_eq!(node.definition.startup_config.as_deref(), Some("__clabNodeName__/__clabLabName__.cfg"));
}

#[test]
fn the_lab_s_folder_may_be_elsewhere_and_magic_variables_follow() {
    let text =
        "name: x\ntopology: {nodes: {r1: {kind: linux, image: frr, exec: [ls __clabNodeDir__ __clabLabName__]}}}\n";
    let reading = read(Path::new("/nowhere"), text, &[("CLAB_LABDIR_BASE", "/labs")]);
    assert_eq!(reading.topology.unwrap().nodes[0].execs[0], ["ls", "/labs/clab-x/r1", "clab-x"]);
}

/// A name may lead to what has no end, or to what nobody writes to.
#[test]
fn only_regular_files_of_a_usual_size_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::File::create(folder.path().join("large")).unwrap().set_len(17 << 20).unwrap();
    let text = "name: x\ntopology:\n  nodes:\n    a: {kind: linux, image: a, env-files: [pipe, /dev/zero, large]}\n";
    let reading = read_text("x.clab.yml", folder.path(), text, &Environment::new());
    let said: Vec<&str> = reading.problems.iter().map(|problem| problem.message.as_str()).collect();
    let file = |name: &str, why: &str| format!("node a: env file {name:?} cannot be read: {why}");
    let regular = "it is no regular file";
    assert_eq!(said, [file("pipe", regular), file("/dev/zero", regular), file("large", "it has more than 16 MiB")]);
    let zero = archetype_topology::read(Path::new("/dev/zero"), &[]).unwrap_err();
    assert!(format!("{zero:?}").contains("more than 16 MiB"), "{zero:?}");
}
