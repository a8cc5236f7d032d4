//! Commands that need no controller, run as people run them: what is printed, and the exit code.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod typed;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use typed::{Ended, written};

const FRR01: &str = "containerlab/lab-examples/frr01/frr01.clab.yml";
const SMOKE: &str = "containerlab/tests/01-smoke/01-linux-nodes.clab.yml";

fn labs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs").canonicalize().unwrap()
}

/// Runs `archetype` where no controller is, with nothing of this shell's environment.
fn archetype(directory: &Path, arguments: &[&str]) -> Ended {
    typed::archetype(directory, &[("ARCHETYPE_SOCKET", "/nonexistent/archetype.sock")], arguments)
}

#[test]
fn frr01_has_no_problems() {
    let ended = archetype(&labs(), &["check", "-t", FRR01]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert_eq!(ended.out, "frr01: 6 nodes, 6 links, no problems\n");
}

#[test]
fn the_file_may_be_left_out_where_only_one_lies() {
    let ended = archetype(labs().join(FRR01).parent().unwrap(), &["check"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "frr01: 6 nodes, 6 links, no problems\n"));
    let nowhere = tempfile::tempdir().unwrap();
    let ended = archetype(nowhere.path(), &["check"]);
    assert_eq!(ended.code, 2);
    assert_eq!(ended.err, "error: there is no *.clab.yml or *.clab.yaml here\n  hint: name one with -t FILE\n");
}

#[test]
fn a_check_for_programs_names_what_the_file_names() {
    let ended = archetype(&labs(), &["check", "-t", FRR01, "--format", "json"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    insta::assert_snapshot!(ended.out);
}

#[test]
fn what_this_version_cannot_run_is_a_problem_with_its_place() {
    let ended = archetype(&labs(), &["check", "-t", SMOKE]);
    assert_eq!(ended.code, 1);
    insta::assert_snapshot!(format!("{}---\n{}", ended.err, ended.out));
}

#[test]
fn a_check_for_programs_tells_the_problems_and_ends_with_1() {
    let ended = archetype(&labs(), &["check", "-t", SMOKE, "-f", "json"]);
    assert_eq!(ended.code, 1);
    let answer: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(answer["name"], "2-linux-nodes");
    assert_eq!(answer["nodes"].as_array().unwrap().len(), 3);
    assert_eq!(answer["links"].as_array().unwrap().len(), 6);
    let problem = answer["problems"].as_array().unwrap().iter().find(|p| p["code"] == "not-runnable-dummy-link");
    let problem = problem.unwrap();
    assert_eq!(problem["file"], SMOKE);
    assert!(problem["line"].is_u64() && problem["column"].is_u64() && problem["message"].is_string(), "{problem}");
    assert!(problem.as_object().unwrap().contains_key("hint"));
}

#[test]
fn every_problem_is_told_with_its_line_and_a_caret() {
    let folder = written(
        "name: x\ntopology:\n  nodes:\n    a: {kind: linux, imagee: y}\n  links:\n    - endpoints: [\"a:eth1\", \"b:eth1\"]\n",
    );
    let ended = archetype(folder.path(), &["check"]);
    assert_eq!(ended.code, 1);
    insta::assert_snapshot!(format!("{}---\n{}", ended.err, ended.out));
}

/// Each key that the table of `docs/nodes.md` says is not used, but for the image of a namespace node.
#[test]
fn a_key_that_nothing_comes_of_is_noted_with_its_place_and_is_no_problem() {
    let folder = written(
        r#"name: x
topology:
  defaults: {kind: linux, memory: 1G, image-pull-policy: never}
  groups:
    spaces: {labels: {archetype.runtime: namespace}, privileged: false}
  nodes:
    a:
      group: spaces
      image: x
      user: root
      hostname: b
      cpu: 1
      cpu-set: "0"
      shm-size: 64MB
      tmpfs: {/run: ""}
      cap-add: [NET_ADMIN]
      devices: [/dev/null]
      auto-remove: true
    b: {group: spaces}
    c:
      image: x
      startup-config: "two\nlines"
      suppress-startup-config: true
      license: "two\nlines"
      extras: {ceos-copy-to-flash: [f]}
      credentials: {username: a, password: b}
      components: [{slot: A}]
      link-apply-mode: restart
    d: {image: x, link-apply-mode: live, enforce-startup-config: false}
"#,
    );
    let ended = archetype(folder.path(), &["check"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "x: 4 nodes, 0 links, no problems\n"));
    insta::assert_snapshot!(ended.err);
    let ended = archetype(folder.path(), &["check", "-f", "json"]);
    let answer: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((ended.code, answer["problems"].as_array().map(Vec::len)), (0, Some(0)));
    assert_eq!(
        answer["notes"][0],
        serde_json::json!({
            "code": "no-effect", "message": "nodes a, b: memory has no effect on namespace nodes", "file": "x.clab.yml",
            "line": 3, "column": 35, "hint": "leave it out, or the label archetype.runtime to run a container",
        })
    );
}

#[test]
fn of_very_many_notes_the_first_are_printed() {
    let nodes: String = (0..60).map(|at| format!("    n{at}: {{cpu: 1}}\n")).collect();
    let labels = "labels: {archetype.runtime: namespace}";
    let folder = written(&format!("name: x\ntopology:\n  defaults: {{kind: linux, {labels}}}\n  nodes:\n{nodes}"));
    let ended = archetype(folder.path(), &["check"]);
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!((ended.code, lines.len()), (0, 21));
    assert_eq!(lines[20], "note: 40 more like these; --format json has all of them");
}

#[test]
fn a_file_that_is_no_yaml_still_gives_an_answer_for_programs() {
    let folder = written("name: [\n");
    let ended = archetype(folder.path(), &["check", "--format", "json"]);
    assert_eq!(ended.code, 1);
    let answer: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(answer["name"], Value::Null);
    assert_eq!(answer["problems"][0]["code"], "yaml-syntax");
}

#[test]
fn a_file_that_is_not_there_is_a_failure_in_words() {
    let ended = archetype(&labs(), &["check", "-t", "none.clab.yml"]);
    assert_eq!(ended.code, 1);
    let told = "error: cannot read topology file none.clab.yml: No such file or directory (os error 2)\n  hint: name one \
                that is there; a directory stands for the only *.clab.yml or *.clab.yaml in it\n";
    assert_eq!(ended.err, told);
}

#[test]
fn the_version_is_told_with_and_without_a_controller() {
    let ended = archetype(&labs(), &["version"]);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(ended.code, 0);
    assert_eq!(ended.out, format!("archetype   {version}\ncontroller  none answers at /nonexistent/archetype.sock\n"));
    let ended = archetype(&labs(), &["version", "--format", "json"]);
    let answer: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(answer, serde_json::json!({"version": version, "controller": null}));
}

#[test]
fn what_cannot_be_understood_ends_with_2() {
    for arguments in [
        &["frobnicate"][..],
        &["check", "--frobnicate"],
        &["deploy", "--wait", "5"],
        &["deploy", "--wait", "5s", "--no-wait"],
        &["exec", "lab", "node"],
        &["exec", "-e", "NAME", "lab", "node", "true"],
        &["node", "lab", "node", "pause"],
        &["inspect", "no/such\nlab?!"],
        &["serve", "--tags", "9-5"],
        &["--log", "=loud=", "version"],
        &[],
    ] {
        let ended = archetype(&labs(), arguments);
        let expected = if arguments == ["inspect", "no/such\nlab?!"] { 1 } else { 2 };
        assert_eq!(ended.code, expected, "{arguments:?}: {}", ended.err);
        assert!(ended.out.is_empty() && !ended.err.is_empty(), "{arguments:?}: {}", ended.out);
    }
}

#[test]
fn everything_wrong_with_the_settings_of_serve_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), "tags = \"9-5\"\nbrigde = \"x\"\n").unwrap();
    let ended = archetype(folder.path(), &["serve", "--config", "a.toml", "--listen", "here", "--host", "h"]);
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!(ended.err);
}

#[test]
fn every_command_is_in_the_help() {
    let ended = archetype(&labs(), &["--help"]);
    assert_eq!(ended.code, 0);
    insta::assert_snapshot!(ended.out);
}

#[test]
fn a_controller_that_is_away_is_told_with_what_to_do() {
    for arguments in [
        &["inspect"][..],
        &["deploy", "-t", FRR01],
        &["plan", "-t", FRR01],
        &["destroy", "frr01"],
        &["exec", "frr01", "PC1", "--", "true"],
        &["logs", "frr01", "PC1"],
        &["node", "frr01", "PC1", "stop"],
        &["journal"],
        &["explain", "frr01", "PC1:eth1"],
    ] {
        let ended = archetype(&labs(), arguments);
        assert_eq!(ended.code, 1, "{arguments:?}");
        assert!(
            ended.err.starts_with(
                "error: no controller answers at /nonexistent/archetype.sock: No such file or directory (os error 2)\n"
            ),
            "{}",
            ended.err
        );
        assert!(ended.err.contains("hint: start one with `archetype serve`"), "{}", ended.err);
    }
}

#[test]
fn a_file_that_is_no_text_is_a_problem_with_its_place_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.clab.yml"), b"name: x\n# caf\xe9\n").unwrap();
    let told = archetype(folder.path(), &["check", "--format", "json"]);
    let answer: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let problem = &answer["problems"][0];
    assert_eq!((told.code, problem["line"].as_u64(), problem["column"].as_u64()), (1, Some(2), Some(6)), "{answer}");
    assert_eq!((&problem["code"], &problem["hint"]), (&"yaml-syntax".into(), &"save it as UTF-8".into()));
    let told = archetype(folder.path(), &["check"]);
    assert_eq!(told.code, 1);
    assert!(told.err.contains("at x.clab.yml:2:6\n") && told.err.contains("not UTF-8"), "{}", told.err);
}

#[test]
fn every_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let ended = archetype(folder.path(), &["man", "pages"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    for command in ["", "-serve", "-check", "-deploy", "-host", "-host-setup", "-completions"] {
        let page = std::fs::read_to_string(folder.path().join(format!("pages/archetype{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "archetype{command}.1");
    }
}

#[test]
fn every_kind_is_listed_with_what_its_ports_are_called() {
    let ended = archetype(&labs(), &["kinds"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    insta::assert_snapshot!(ended.out);
}

#[test]
fn one_kind_is_shown_with_every_spelling_and_what_is_reserved() {
    let shown = ["ceos", "juniper_vmx", "cisco_iol", "linux"].map(|kind| archetype(&labs(), &["kinds", kind]).out);
    insta::assert_snapshot!(shown.join("---\n"));
}

#[test]
fn kinds_are_told_to_programs() {
    let ended = archetype(&labs(), &["kinds", "vr-csr", "--format", "json"]);
    insta::assert_snapshot!(ended.out);
    let all: Value = serde_json::from_str(&archetype(&labs(), &["kinds", "-f", "json"]).out).unwrap();
    let kinds = all["kinds"].as_array().unwrap();
    let one: Value = serde_json::from_str(&ended.out).unwrap();
    assert!(kinds.len() > 60 && kinds.contains(&one));
}

#[test]
fn a_kind_that_is_not_known_is_told_with_the_one_that_may_be_meant() {
    let ended = archetype(&labs(), &["kinds", "arista_coes"]);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert_eq!(ended.err, "error: there is no kind arista_coes\n  hint: did you mean arista_ceos?\n");
    let ended = archetype(&labs(), &["kinds", "zzz"]);
    assert_eq!(ended.err, "error: there is no kind zzz\n  hint: `archetype kinds` lists every kind\n");
    assert_eq!(archetype(&labs(), &["kinds", ""]).code, 2);
}

#[test]
fn the_contract_is_an_openapi_document() {
    let ended = archetype(&labs(), &["openapi"]);
    let document: Value = serde_json::from_str(&ended.out).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/v1/labs"].is_object());
}

const TEMPLATE: &str = "\
name: {{ .name }}
topology:
  defaults: {kind: linux, image: x, env: {A: 1}, labels: {archetype.runtime: namespace}}
  nodes:
{{- range $i := seq .count }}
    r{{ $i }}: {cpu: 010, auto-remove: no}
{{- end }}
  links:
    - endpoints: [\"r1:eth1\", \"r{{ .count }}:eth1\"]
";

#[test]
fn a_template_takes_its_variables_from_files() {
    let folder = written(TEMPLATE);
    std::fs::write(folder.path().join("a.yml"), "name: t\ncount: 2\n").unwrap();
    std::fs::write(folder.path().join("b.json"), "{\"count\": 3}").unwrap();
    let ended = archetype(folder.path(), &["check", "--vars", "a.yml", "--vars", "b.json"]);
    let noted = "note: x.clab.yml:6:22: nodes r1, r2, r3: cpu has no effect on namespace nodes ";
    assert_eq!((ended.code, &*ended.out), (0, "t: 3 nodes, 1 link, no problems\n"));
    assert!(ended.err.starts_with(noted) && ended.err.lines().count() == 1, "{}", ended.err);
    std::fs::rename(folder.path().join("a.yml"), folder.path().join("x.clab_vars.yml")).unwrap();
    let ended = archetype(folder.path(), &["check"]);
    assert_eq!(ended.out, "t: 2 nodes, 1 link, no problems\n");
    let ended = archetype(folder.path(), &["check", "--vars", "b.json"]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("  at x.clab.yml:1:10\n  1 | name: {{ .name }}\n    |          ^\n"), "{}", ended.err);
}

#[test]
fn an_expanded_check_has_what_the_levels_amount_to() {
    let folder = written(TEMPLATE);
    std::fs::write(folder.path().join("x.clab_vars.yml"), "name: t\ncount: 2\n").unwrap();
    let ended = archetype(folder.path(), &["check", "--format", "json", "--expanded"]);
    assert_eq!(ended.code, 0, "{}{}", ended.err, ended.out);
    let answer: Value = serde_json::from_str(&ended.out).unwrap();
    let wanted = serde_json::json!({
        "kind": "linux", "image": "x", "image-pull-policy": "IfNotPresent", "cpu": 8,
        "env": {"A": "1"}, "labels": {"archetype.runtime": "namespace"},
    });
    assert_eq!(answer["nodes"][1]["definition"], wanted);
    assert_eq!(answer["links"][0]["endpoints"][1]["linux_interface"], "eth1");
    let ended = archetype(folder.path(), &["check", "--format", "json"]);
    assert!(!ended.out.contains("definition") && !ended.out.contains("linux_interface"));
}

#[test]
fn a_topology_comes_from_the_input_or_from_the_web() {
    use std::io::{Read, Write};
    let text = "name: x\ntopology:\n  nodes:\n    a: {kind: linux, imagee: y}\n";
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_archetype"))
        .args(["check", "-t", "-"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("  at stdin:4:22\n  4 |     a: {kind: linux, imagee: y}\n"), "{said}");

    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        for _ in 0..3 {
            let (mut stream, _) = server.accept().unwrap();
            let mut request = [0; 2048];
            let length = stream.read(&mut request).unwrap();
            let found = !String::from_utf8_lossy(&request[..length]).starts_with("GET /gone");
            let (status, body) = if found { ("200 OK", text) } else { ("404 Not Found", "") };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all((head + body).as_bytes()).unwrap();
        }
    });
    for url in [format!("http://{address}/labs/x.clab.yml"), format!("{address}/short")] {
        let ended = archetype(folder.path(), &["check", "-t", &url]);
        assert_eq!(ended.code, 1);
        assert!(ended.err.contains("unknown key \"imagee\"") && ended.err.contains("  4 |     a: {"), "{}", ended.err);
    }
    let ended = archetype(folder.path(), &["check", "-t", &format!("http://{address}/gone.yml")]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("the server answered 404\n"), "{}", ended.err);
    serving.join().unwrap();
    let ended = archetype(folder.path(), &["check", "-t", "srl-labs/srlinux-vlan-handling-lab"]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("would have to be cloned"), "{}", ended.err);
}

#[test]
fn a_topology_comes_from_a_server_that_this_machine_trusts_and_from_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name: x\ntopology:\n  nodes:\n    a: {kind: linux, image: i}\n";
    std::fs::write(folder.path().join("x.clab.yml"), text).unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // Free a moment ago; nobody else of this machine takes it so soon.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new("openssl")
        .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-key", "key.pem", "-cert", "cert.pem", "-WWW"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("https://localhost:{port}/x.clab.yml");
    let check = |trusted: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_archetype"));
        command.args(["check", "-t", &url]).current_dir(folder.path()).stdin(Stdio::null());
        if trusted {
            command.env("SSL_CERT_FILE", folder.path().join("cert.pem"));
        }
        command.output().unwrap()
    };
    let tries = (0..50).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        check(true)
    });
    let trusted = tries.into_iter().find(|output| output.status.success());
    let foreign = check(false);
    server.kill().unwrap();
    server.wait().unwrap();
    let trusted = trusted.expect("the trusted server is never read");
    assert_eq!(String::from_utf8_lossy(&trusted.stdout), "x: 1 node, 0 links, no problems\n");
    let said = String::from_utf8_lossy(&foreign.stderr);
    assert!(foreign.status.code() == Some(1) && said.contains("certificate"), "{said}");
}

#[test]
fn a_terminal_for_an_input_that_is_none_is_refused_before_anything_is_asked() {
    let ended = archetype(&labs(), &["exec", "-it", "lab", "n", "--", "true"]);
    let told = "error: the input is not a terminal\n  hint: leave out -t\n";
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (2, "", told));
    // With a terminal of its own and no input, or input and no terminal, the controller is asked.
    for flag in ["-t", "-i"] {
        assert_eq!(archetype(&labs(), &["exec", flag, "lab", "n", "true"]).code, 1);
    }
}
