//! Files that a reader of YAML 1.2 takes in another way than containerlab's, which is of 1.1. Each
//! case is one that containerlab 0.79's own code was asked about.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::Path;

use archetype_topology::{Environment, Reading, read_text};
use serde_json::{Value, json};

/// A file with one node of `body`, which has no line end of its own.
fn node(body: &str) -> Reading {
    let text = format!("name: x\ntopology:\n  nodes:\n    r1:\n      kind: linux\n      image: a\n      {body}");
    read_text("lab.clab.yml", Path::new("/nowhere"), &text, &Environment::new())
}

fn read(body: &str, key: &str) -> Value {
    let reading = node(body);
    assert_eq!(reading.problems, [], "{body}");
    reading.topology.unwrap().nodes[0].definition.to_file_keys()[key].take()
}

fn codes(body: &str) -> Vec<String> {
    node(body).problems.iter().map(|problem| problem.code.to_string()).collect()
}

#[test]
fn lines_of_a_quoted_text_may_begin_anywhere() {
    assert_eq!(read("cmd: \"a\nb\n  c\n\n d\"\n", "cmd"), json!("a b c\nd"));
    assert_eq!(
        read("exec:\n        - 'echo\n  one'\n        - \"two\\\nthree\"\n", "exec"),
        json!(["echo one", "twothree"])
    );
    let problems = node("cmd: \"a\nb\"\n      kidn: linux\n").problems;
    assert_eq!(
        problems[0].to_string().lines().next().unwrap(),
        "lab.clab.yml:9:7: unknown key \"kidn\" in topology.nodes.r1 [unknown-key]"
    );
}

#[test]
fn a_comment_may_follow_a_quote_or_a_bracket_at_once() {
    assert_eq!(read("exec: ['a'#one\n        , \"b\"]#two\n      cmd: 'c'#three\n", "exec"), json!(["a", "b"]));
}

#[test]
fn a_colon_before_a_comma_or_a_bracket_is_text() {
    assert_eq!(read("binds: [/dev/null:/n:, /dev/null:/m:]\n", "binds"), json!(["/dev/null:/m", "/dev/null:/n"]));
    assert_eq!(read("exec: [a:, b]\n", "exec"), json!(["a:", "b"]));
    assert_eq!(read("env: {a:, b: c}\n", "env"), json!({"a:": "", "b": "c"}));
    assert_eq!(read("exec: [a:]\n", "exec"), json!(["a:"]));
    assert_eq!(codes("env: {a:[b]}\n"), ["yaml-syntax"]);
    assert_eq!(codes("env: {a: :b}\n"), ["yaml-syntax"]);
}

#[test]
fn a_question_mark_between_brackets_needs_quotes() {
    assert_eq!(codes("exec: [curl http://a/?b=c]\n"), ["yaml-syntax"]);
    assert_eq!(codes("labels: {a: b?}\n"), ["yaml-syntax"]);
    assert_eq!(read("exec: [\"a?\"]\n      cmd: why?\n", "exec"), json!(["a?"]));
    assert_eq!(read("exec:\n        - curl http://a/?b=c\n", "exec"), json!(["curl http://a/?b=c"]));
}

#[test]
fn a_block_ends_as_the_file_does() {
    assert_eq!(read("cmd: |\n        date", "cmd"), json!("date"));
    assert_eq!(read("cmd: >\n        date\n        -u", "cmd"), json!("date -u"));
    assert_eq!(read("cmd: |+\n        date", "cmd"), json!("date"));
    assert_eq!(read("cmd: |\n        date\n", "cmd"), json!("date\n"));
    assert_eq!(read("cmd: |\n        date\n      user: root", "cmd"), json!("date\n"));
}

#[test]
fn keys_inside_of_variables_are_typed() {
    let vars = "config: {vars: {yes: 1, a: {yes: 1, 010: [x, {on: off}], '1': ~, 1.5: b}}}\n";
    let wanted = json!({"vars": {"yes": 1, "a": {"true": 1, "8": ["x", {"true": false}], "1": null, "1.5": "b"}}});
    assert_eq!(read(vars, "config"), wanted);
    for twice in ["{yes: 1, true: 2}", "{010: a, 8: b}", "[{on: 1, y: 2}]", "{<<: {x: 1}, x: 2}"] {
        assert_eq!(codes(&format!("config: {{vars: {{v: {twice}}}}}\n")), ["duplicate-key"], "{twice}");
    }
}

#[test]
fn a_tab_indents_nothing() {
    for refused in [
        "\t\n      user: root\n",
        "cmd: date\n\t\n      user: root\n",
        "exec:\n        -\tdate\n",
        "exec: [a]\n  \t# comment\n",
    ] {
        assert_eq!(codes(refused), ["yaml-syntax"], "{refused:?}");
    }
    assert_eq!(read("exec: [a,\n\tb]\t# comment\t\n      cmd:\tdate \t\n", "exec"), json!(["a", "b"]));
    assert_eq!(read("cmd: \"a\n\tb\"\n      exec:\n        - c\td\n", "cmd"), json!("a b"));
}
