//! Whatever the template, reading and rendering it ends with an answer, within its limits. Random
//! texts, texts made of pieces that templates are made of, and real templates cut and mended.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::Path;

use archetype_gotemplate::{Key, Limits, Set, Value, functions};
use proptest::prelude::*;

const LIMITS: Limits = Limits { steps: 20_000, bytes: 100_000 };

fn data() -> Value {
    let list = Value::list(vec![Value::Int(1), Value::text("two"), Value::Nil, Value::Float(1.5)]).unwrap();
    let inner = Value::map([(Key::Text("x".into()), Value::Nil), (Key::Int(1), list.clone())].into(), false).unwrap();
    Value::map(
        [(Key::Text("a".into()), Value::Int(3)), (Key::Text("c".into()), list), (Key::Text("d".into()), inner)].into(),
        true,
    )
    .unwrap()
}

fn answers(text: &str) {
    let set = match Set::parse(&[("t", text)], functions()) {
        Ok(set) => set,
        Err(error) => {
            assert!(error.at <= text.len() && text.is_char_boundary(error.at), "{error:?}");
            return;
        }
    };
    match set.render(&data(), LIMITS) {
        Ok(rendered) => {
            assert!(rendered.text.len() <= LIMITS.bytes);
            let mut before = 0;
            for piece in &rendered.pieces {
                assert!(piece.begins >= before && piece.origin <= text.len());
                before = piece.begins;
            }
        }
        Err(error) => assert!(error.at <= text.len() && text.is_char_boundary(error.at), "{error:?}"),
    }
}

/// What templates are made of, so that random ones are often nearly right.
const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    " - ",
    "{{if .a}}",
    "{{else}}",
    "{{else if .d}}",
    "{{end}}",
    "{{range .c}}",
    "{{range $i, $e := .c}}",
    "{{range 5}}",
    "{{with .d}}",
    "{{define \"x\"}}",
    "{{template \"x\" .}}",
    "{{block \"y\" .}}",
    "{{$v := .a}}",
    "{{$v = 2}}",
    "{{$v}}",
    "{{break}}",
    "{{continue}}",
    "{{/* c */}}",
    "{{printf \"%5.2f|%v|%q|%x\" 1.5 . \"a\" 255}}",
    "{{printf \"%*d\" 9 .a}}",
    "{{index .c 1}}",
    "{{.d.x}}",
    "{{len .c}}",
    "{{eq .a 3}}",
    "{{lt 1 2 | not}}",
    "{{(print .c).x}}",
    "{{html .}}",
    "{{urlquery .}}",
    ".a",
    "$",
    "$v",
    "(",
    ")",
    "|",
    ":=",
    "=",
    ",",
    "\"q\"",
    "`r`",
    "'c'",
    "1",
    "0x",
    "1e9",
    "nil",
    "true",
    "and",
    "or",
    " ",
    "\n",
    "é",
    "text",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gets_an_answer(text in "\\PC*") {
        answers(&text);
        answers(&format!("{{{{{text}}}}}"));
    }

    #[test]
    fn any_pieces_get_an_answer(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        answers(&pieces.concat());
    }

    #[test]
    fn any_format_gets_an_answer(form in "[%#0+ .*\\[\\]0-9sdvqxXfegtcUbo]{0,24}") {
        answers(&format!("{{{{printf {form:?} .a .c \"x\" 1.5}}}}"));
    }

    #[test]
    fn a_real_template_changed_anywhere_gets_an_answer(
        which in 0usize..300, cut in 0usize..400, length in 0usize..20, put in prop::sample::select(PIECES)
    ) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/go.jsonl");
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let case: serde_json::Value = serde_json::from_str(lines[which % lines.len()]).unwrap();
        let chars: Vec<char> = case["template"].as_str().unwrap().chars().collect();
        let from = cut % (chars.len() + 1);
        let to = (from + length).min(chars.len());
        answers(&chars[..from].iter().chain(put.chars().collect::<Vec<_>>().iter()).chain(&chars[to..]).collect::<String>());
    }
}

#[test]
fn what_does_not_end_is_an_error() {
    let message = |text: &str| {
        let set = Set::parse(&[("t", text)], functions()).unwrap();
        set.render(&data(), LIMITS).unwrap_err().message
    };
    for text in [
        "{{range 1000000000}}{{end}}",
        "{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}",
        "{{$s := \"aaaaaaaaaaaaaaaa\"}}{{range 64}}{{$s = print $s $s}}{{end}}",
        "{{range 9999}}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{{end}}",
        "{{printf \"%999999d\" 1}}",
        "{{printf \"%099999d\" 1}}",
        "{{printf \"%.99999d\" 1}}",
        "{{printf \"%0*x\" 99999 1}}",
        "{{printf \"%099999v %-099999.99999q\" 1.5 2}}",
        "{{range 9000}}{{range 9000}}{{end}}{{end}}",
    ] {
        let said = message(text);
        let words = ["too many steps", "nested too deeply", "too much text", "becomes too long"];
        assert!(words.iter().any(|word| said.contains(word)), "{text}: {said}");
    }
    let deep = format!("{}{}", "{{if 1}}".repeat(100_000), "{{end}}".repeat(100_000));
    assert!(Set::parse(&[("t", &deep)], functions()).is_err());
    let deep = format!("{{{{{}1{}}}}}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(Set::parse(&[("t", &deep)], functions()).is_err());
}

#[test]
fn each_part_of_the_output_knows_where_it_came_from() {
    let main = "a{{.a}}b\n{{template \"sub\" .}}{{define \"own\"}}own{{end}}{{template \"own\"}}";
    let set = Set::parse(&[("t", main), ("sub", "SUB{{.a}}")], functions()).unwrap();
    let rendered = set.render(&data(), LIMITS).unwrap();
    assert_eq!(rendered.text, "a3b\nSUB3own");
    let shown: Vec<(usize, usize, bool)> = rendered.pieces.iter().map(|p| (p.begins, p.origin, p.copied)).collect();
    let call = main.find("template \"sub\"").unwrap();
    let own = main.find("own{{").unwrap();
    assert_eq!(shown, [(0, 0, true), (1, 3, false), (2, 7, true), (4, call, false), (7, call, false), (8, own, true)]);
}
