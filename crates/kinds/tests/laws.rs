//! What holds for every kind, every spelling and every port: names lead back to their port, and no
//! name to two.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use archetype_kinds::{Kind, Numbers, Pattern, Ports, Reading, all};
use proptest::prelude::*;
use proptest::sample::Index;

/// A kind that has ports, and one of its families.
fn family() -> impl Strategy<Value = (&'static Kind, &'static Ports)> {
    let families: Vec<_> = all().iter().flat_map(|kind| kind.ports.iter().map(move |ports| (kind, ports))).collect();
    any::<Index>().prop_map(move |index| *index.get(&families))
}

/// A port of a family.
fn port() -> impl Strategy<Value = (&'static Kind, &'static Ports, Numbers)> {
    (family(), proptest::collection::vec(0u32..200, 5)).prop_map(|((kind, ports), more)| {
        let linux = &ports.linux[0];
        let number = |more: u32| ports.to.map_or(ports.from + more, |to| ports.from + more % (to - ports.from + 1));
        (kind, ports, linux.letters().zip(more).map(|(letter, more)| (letter, number(more))).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_spelling_of_a_port_means_that_port((kind, ports, numbers) in port()) {
        let linux = ports.linux[0].write(&numbers).unwrap();
        for pattern in ports.spellings() {
            let said = pattern.write(&numbers).unwrap();
            prop_assert_eq!(pattern.read(&said, Reading::Exact), Some(numbers.clone()), "{} {}", &kind.name, &said);
            prop_assert_eq!(kind.canonical(&said), Some(linux.clone()), "{} {}", &kind.name, &said);
        }
    }

    #[test]
    fn a_linux_interface_is_shown_by_the_name_that_leads_back_to_it((kind, ports, numbers) in port()) {
        for pattern in &ports.linux {
            let linux = pattern.write(&numbers).unwrap();
            let vendor = ports.vendor.as_ref().and_then(|vendor| vendor.write(&numbers));
            prop_assert_eq!(kind.vendor_name(&linux), vendor.clone(), "{} {}", &kind.name, &linux);
            let back = vendor.map(|vendor| kind.canonical(&vendor));
            prop_assert!(back.is_none_or(|back| back == kind.canonical(&linux)));
        }
    }

    #[test]
    fn what_a_file_may_write_becomes_an_interface_of_the_same_port((kind, ports, numbers) in port()) {
        for pattern in &ports.linux {
            let written = pattern.write(&numbers).unwrap();
            let Ok(name) = archetype_model::InterfaceName::new(&written) else { continue };
            prop_assert_eq!(kind.in_file(&written, true), Ok(name), "{} {}", &kind.name, &written);
        }
        let linux = ports.linux[0].write(&numbers).unwrap();
        let fits = archetype_model::InterfaceName::new(&linux).is_ok();
        for pattern in ports.file.iter().filter(|_| fits) {
            let written = pattern.write(&numbers).unwrap();
            let name = kind.in_file(&written, true).map(|name| name.to_string());
            prop_assert_eq!(name.as_ref(), Ok(&linux), "{} {}", &kind.name, &written);
        }
    }

    #[test]
    fn two_ports_of_a_kind_share_no_name((kind, ports, numbers) in port(), (_, other, more) in port()) {
        let others: Vec<&Ports> = kind.ports.iter().filter(|family| std::ptr::eq(*family, other)).collect();
        let pairs = others.iter().map(|family| (*family, &more)).chain([(ports, &numbers)]);
        let all: Vec<(String, String)> = pairs
            .flat_map(|(family, numbers)| {
                let linux = family.linux[0].write(numbers).unwrap();
                let said: Vec<String> = family.spellings().filter_map(|pattern| pattern.write(numbers)).collect();
                said.into_iter().map(move |said| (said, linux.clone()))
            })
            .collect();
        for (said, linux) in &all {
            prop_assert!(all.iter().all(|(other, port)| other != said || port == linux), "{} {}", &kind.name, said);
        }
    }

    #[test]
    fn any_text_gets_an_answer_and_what_it_becomes_stays(text in "[a-zA-Z0-9/_. -]{0,18}", index in any::<Index>()) {
        let kind = index.get(all());
        if let Ok(name) = kind.in_file(&text, true) {
            let again = kind.in_file(name.as_str(), true);
            prop_assert_eq!(again, Ok(name.clone()), "{} {:?}", &kind.name, &text);
        }
        if let Some(linux) = kind.canonical(&text) {
            prop_assert_eq!(kind.canonical(&linux), Some(linux.clone()), "{} {:?}", &kind.name, &text);
        }
    }
}

#[test]
fn a_kinds_patterns_have_the_same_numbers() {
    let letters = |pattern: &Pattern| {
        let mut letters: Vec<char> = pattern.letters().collect();
        letters.sort_unstable();
        letters.dedup();
        letters
    };
    for kind in all() {
        for ports in &kind.ports {
            for pattern in ports.spellings() {
                assert_eq!(letters(pattern), letters(&ports.linux[0]), "{} {}", kind.name, pattern.shown());
            }
        }
    }
}

#[test]
fn names_that_are_not_for_links_are_no_ports() {
    for kind in all() {
        let management = kind.management.iter().flat_map(|m| [Some(&m.linux), m.vendor.as_ref()]).flatten();
        for name in management.chain(kind.reserved.iter().flat_map(|reserved| &reserved.names)) {
            for ports in &kind.ports {
                let read = |pattern: &Pattern| pattern.read(name, Reading::Folded);
                let port =
                    ports.spellings().find_map(read).filter(|numbers| numbers.values().all(|n| *n >= ports.from));
                assert_eq!(port, None, "{} {name}", kind.name);
            }
        }
    }
}
