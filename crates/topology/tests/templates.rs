//! Files that are templates: the functions and variables they have, and where their problems are.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::{Path, PathBuf};

use archetype_model::topology::{LinkKind, Topology};
use archetype_topology::{Environment, read, read_text, rendered};
use serde_json::Value;

/// The templates are ours; what became of them is what containerlab 0.79's functions and Go made of
/// them.
#[test]
fn functions_and_variables_are_those_of_containerlab() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/templates.jsonl")).unwrap();
    let here = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let template = case["template"].as_str().unwrap();
        let vars = here.path().join("vars.yml");
        std::fs::write(&vars, case["vars"].as_str().unwrap()).unwrap();
        let ours = rendered("t.clab.yml", here.path(), template, &[vars]);
        let same = match (&ours, case["out"].as_str()) {
            (Ok(ours), Some(theirs)) => ours == theirs,
            (Err(_), None) => true,
            _ => false,
        };
        if !same {
            wrong.push(format!("{template}\n  ours   {ours:?}\n  theirs {:?} {:?}", case["out"], case["error"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), text.lines().count(), wrong.join("\n"));
}

fn lab(path: &str) -> Topology {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/containerlab-0.79/corpus").join(path);
    let reading = read(&path, &[]).unwrap();
    assert_eq!(reading.problems, []);
    reading.topology.unwrap()
}

#[test]
fn the_templates_of_the_corpus_are_read_with_the_variables_beside_them() {
    let small = lab("lab-examples/templated01/templated01.clab.gotmpl");
    let names: Vec<&str> = small.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["spine1", "spine2", "leaf1", "leaf2", "leaf3", "leaf4"]);
    assert!(small.nodes.iter().all(|node| node.definition.variant.as_deref() == Some("ixrd3")));
    assert_eq!(small.links.len(), 8);
    let end = &small.links[7].endpoints[1];
    assert_eq!((end.node.as_str(), end.interface.as_str()), ("leaf4", "e1-2"));
    let large = lab("lab-examples/templated02/templated02.clab.gotmpl");
    assert_eq!((large.nodes.len(), large.links.len()), (26, 48));
    let end = &large.links[47].endpoints;
    assert_eq!((end[0].interface.as_str(), end[1].interface.as_str()), ("e1-6", "e1-50"));
    assert!(large.links.iter().all(|link| link.kind == LinkKind::Veth));
}

fn problems(here: &Path, text: &str, vars: &[PathBuf]) -> String {
    let reading = archetype_topology::read_with("lab.clab.yml", here, text, &Environment::new(), vars);
    let shown: Vec<String> = reading.problems.iter().map(ToString::to_string).collect();
    shown.join("\n").replace(&*here.to_string_lossy(), "HERE")
}

#[test]
fn a_template_that_is_none_or_fails_is_named_where_it_does() {
    let here = tempfile::tempdir().unwrap();
    let shown = |text: &str| problems(here.path(), text, &[]);
    insta::assert_snapshot!(shown("name: x\ntopology:\n  nodes: {{ range }}\n"), @r#"
    lab.clab.yml:3:19: range has no value [template-syntax]
      hint: for two braces write `{{ "{{" }}`
    "#);
    insta::assert_snapshot!(shown("name: x\n{{ if .a }}\ntopology: {}\n"), @r#"
    lab.clab.yml:2:4: "if" has no "{{end}}" [template-syntax]
      hint: for two braces write `{{ "{{" }}`
    "#);
    insta::assert_snapshot!(shown("name: {{ nothing 1 }}\n"), @r#"
    lab.clab.yml:1:10: there is no function "nothing" [template-syntax]
      hint: for two braces write `{{ "{{" }}`
    "#);
    insta::assert_snapshot!(shown("name: x\n{{ range seq 1 2 }}\n  {{ index (slice 1 2) . }}\n{{ end }}\n"), @r#"
    lab.clab.yml:3:6: index: index 2 is out of range: there are 2 [template-failed]
      hint: the message names the action. Variables come from `--vars`, or from files beside it: for `x.clab.yml` `x.clab_vars.yml`
    "#);
    insta::assert_snapshot!(shown("{{ range 100000000 }}{{ end }}\n"), @r#"
    lab.clab.yml:1:10: the template does not come to an end: it took too many steps [template-failed]
      hint: the message names the action. Variables come from `--vars`, or from files beside it: for `x.clab.yml` `x.clab_vars.yml`
    "#);
    insta::assert_snapshot!(shown("name: é{{ div 1 0 }}\n"), @r#"
    lab.clab.yml:1:11: div: division by 0 [template-failed]
      hint: the message names the action. Variables come from `--vars`, or from files beside it: for `x.clab.yml` `x.clab_vars.yml`
    "#);
}

#[test]
fn a_problem_of_the_expanded_text_is_named_where_the_template_has_it() {
    let here = tempfile::tempdir().unwrap();
    let text = "\
name: x
topology:
  defaults: {kind: linux, image: frr}
  nodes:
{{- range $i := seq 2 }}
    r{{ $i }}:
      imagee: frr
{{- end }}
  links:
    - endpoints: [\"r1:eth1\", \"{{ printf \"r%d\" 9 }}:eth1\"]
";
    insta::assert_snapshot!(problems(here.path(), text, &[]), @r#"
    lab.clab.yml:7:7: unknown key "imagee" in topology.nodes.r1 [unknown-key]
      hint: did you mean "image"?
    lab.clab.yml:7:7: unknown key "imagee" in topology.nodes.r2 [unknown-key]
      hint: did you mean "image"?
    lab.clab.yml:10:30: r9:eth1 ends at "r9", which is no node of the topology [unknown-node]
      hint: did you mean "r1"?
    "#);
}

#[test]
fn variables_and_templates_that_cannot_be_used_are_named_in_their_files() {
    let here = tempfile::tempdir().unwrap();
    let path = |name: &str| here.path().join(name);
    std::fs::write(path("bad.yml"), "a: 1\nb: [\n").unwrap();
    std::fs::write(path("list.json"), "[1]").unwrap();
    let named = [path("bad.yml"), path("list.json"), path("gone.yml")];
    insta::assert_snapshot!(problems(here.path(), "name: {{ .a }}\n", &named), @r#"
    HERE/bad.yml:2:4: this is not YAML: unclosed bracket '[' [bad-variables]
      hint: name it with `--vars`, or correct it
    HERE/list.json:1:1: the file of variables must be a mapping [bad-variables]
      hint: name it with `--vars`, or correct it
    HERE/gone.yml:1:1: the file of variables cannot be read: No such file or directory (os error 2) [bad-variables]
      hint: name it with `--vars`, or correct it
    "#);
    std::fs::create_dir(path("clab_templates")).unwrap();
    std::fs::write(path("clab_templates/node.gotmpl"), "{{ define \"node\" }}\n{{ add . \"x\" }}{{ end }}").unwrap();
    insta::assert_snapshot!(problems(here.path(), "name: x\n{{ template \"node\" 1 }}\n", &[]), @r#"
    clab_templates/node.gotmpl:2:4: add: a number is needed, not "x" [template-failed]
      hint: the message names the action. Variables come from `--vars`, or from files beside it: for `x.clab.yml` `x.clab_vars.yml`
    "#);
}

#[test]
fn variables_of_several_files_are_merged_and_the_last_wins() {
    let here = tempfile::tempdir().unwrap();
    let path = |name: &str| here.path().join(name);
    let text = "{{ .a }} {{ .b }} {{ .c.x }} {{ .c.y }}";
    std::fs::write(path("1.yml"), "a: 1\nb: 1\nc: {x: 1, y: 1}\n").unwrap();
    std::fs::write(path("2.json"), "{\"b\": 2, \"c\": {\"x\": 2}}").unwrap();
    let two = [path("1.yml"), path("2.json")];
    assert_eq!(rendered("t.clab.yml", here.path(), text, &two).unwrap(), "1 2 2 <no value>");
    // Beside the file, in the order of their names; other endings are none of its.
    std::fs::write(path("t.clab_vars.b.yaml"), "a: b\n").unwrap();
    std::fs::write(path("t.clab_vars.a.yml"), "a: a\nb: a\n").unwrap();
    std::fs::write(path("t.clab_vars.txt"), "a: txt\n").unwrap();
    assert_eq!(rendered("t.clab.yml", here.path(), "{{ .a }} {{ .b }}", &[]).unwrap(), "b a");
    assert_eq!(rendered("u.clab.yml", here.path(), "{{ .a }}", &[]).unwrap(), "<no value>");
}

#[test]
fn templates_beside_the_file_can_be_called() {
    let here = tempfile::tempdir().unwrap();
    std::fs::create_dir(here.path().join("clab_templates")).unwrap();
    let node = "    {{ .name }}:\n      kind: linux\n      image: {{ .image }}\n";
    std::fs::write(here.path().join("clab_templates/node.gotmpl"), node).unwrap();
    std::fs::write(here.path().join("lab.clab_vars.yml"), "nodes: [{name: a, image: x}, {name: b, image: z}]").unwrap();
    let text = "name: t\ntopology:\n  nodes:\n{{ range .nodes }}{{ template \"node.gotmpl\" . }}{{ end }}";
    let reading = read_text("lab.clab.yml", here.path(), text, &Environment::new());
    assert_eq!(reading.problems, []);
    let nodes = reading.topology.unwrap().nodes;
    let shown: Vec<_> = nodes.iter().map(|n| (n.name.as_str(), n.definition.image.as_deref().unwrap())).collect();
    assert_eq!(shown, [("a", "x"), ("b", "z")]);
}

#[test]
fn merge_keys_and_nodes_that_are_only_names_are_read_as_containerlab_reads_them() {
    let text = "\
name: x
topology:
  defaults: &d {kind: linux, image: d, group: g1, auto-remove: true, env: {A: 1}, config: {vars: {a: 1}}}
  kinds: {linux: {group: g2, auto-remove: false}}
  groups: {g1: {cmd: g1}, g2: {cmd: g2}}
  nodes:
    bare:
    empty: {}
    before: {<<: *d, image: own, env: {B: 2}}
    after: {image: own, <<: *d}
    first: {<<: [{image: one}, {image: two, user: u}]}
";
    let reading = read_text("lab.clab.yml", Path::new("/nowhere"), text, &Environment::new());
    assert_eq!(reading.problems, []);
    let nodes = reading.topology.unwrap().nodes;
    let of = |name: &str| nodes.iter().find(|node| node.name.as_str() == name).unwrap().definition.to_file_keys();
    let (bare, empty) = (of("bare"), of("empty"));
    assert_eq!((&bare["group"], &bare["cmd"], &bare["auto-remove"]), (&"g1".into(), &"g1".into(), &true.into()));
    assert_eq!((&empty["group"], &empty["cmd"], &empty["auto-remove"]), (&"g2".into(), &"g2".into(), &false.into()));
    assert!(bare.get("config").is_none() && empty.get("config").is_some());
    assert_eq!((&of("before")["image"], &of("after")["image"]), (&"own".into(), &"d".into()));
    assert_eq!(of("before")["env"], serde_json::json!({"A": "1", "B": "2"}));
    assert_eq!((&of("first")["image"], &of("first")["user"]), (&"one".into(), &"u".into()));
}
