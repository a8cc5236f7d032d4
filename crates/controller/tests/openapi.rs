//! The contract that is checked in is the one that the code serves.

/// `UPDATE=1 cargo test -p archetype-controller --test openapi` writes it anew.
#[test]
fn the_document_checked_in_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/openapi.json");
    let document = archetype_controller::openapi();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &document).unwrap();
    }
    let held = std::fs::read_to_string(path).unwrap();
    assert!(held == document, "crates/api/openapi.json is old: run with UPDATE=1 to write it anew");
}

#[test]
fn it_is_openapi_3_1_and_describes_every_operation() {
    let document: serde_json::Value = serde_json::from_str(&archetype_controller::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let mut ids = std::collections::BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with("/api/v1/"), "{path}");
        for (method, operation) in methods.as_object().unwrap() {
            assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{method} {path} has no summary");
            let id = operation["operationId"].as_str().unwrap().to_string();
            assert!(ids.insert(id.clone()), "{id} is the name of two operations");
            for status in ["401", "403", "default"] {
                let content = operation["responses"][status]["content"].as_object();
                let types: Vec<_> = content.unwrap_or_else(|| panic!("{id} does not say {status}")).keys().collect();
                assert_eq!(types, ["application/problem+json"], "{id} {status}");
            }
        }
    }
}
