//! The network entry of a container's `config.json`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Why a bundle could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the kernel said.
        #[source]
        error: std::io::Error,
    },
    /// The file is not what the OCI runtime specification asks for.
    #[error("{path} is no OCI configuration: {why}")]
    Form {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Makes the container of the bundle run in the network namespace at `namespace`, and takes out
/// the hook by which older engines put their own network into it.
///
/// # Errors
/// When `config.json` cannot be read, understood or written.
pub fn join(bundle: &Path, namespace: &Path) -> Result<(), BundleError> {
    let path = bundle.join("config.json");
    let name = || path.display().to_string();
    let failed = |error| BundleError::File { path: name(), error };
    let form = |why: String| BundleError::Form { path: name(), why };
    let text = fs::read(&path).map_err(failed)?;
    let mut config: Value = serde_json::from_slice(&text).map_err(|error| form(error.to_string()))?;
    let namespaces = config.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut);
    let namespaces = namespaces.ok_or_else(|| form("it has no linux.namespaces".into()))?;
    namespaces.retain(|entry| entry["type"] != "network");
    namespaces.push(json!({"type": "network", "path": namespace}));
    drop_hooks(&mut config);
    let beside = path.with_extension("json.archetype");
    fs::write(&beside, config.to_string()).map_err(failed)?;
    let permissions = fs::metadata(&path).map_err(failed)?.permissions();
    fs::set_permissions(&beside, permissions).map_err(failed)?;
    fs::rename(&beside, &path).map_err(failed)
}

/// Takes out the engine's network hook: it would work for nothing, a third of the start's time.
fn drop_hooks(config: &mut Value) {
    let is_network = |hook: &Value| {
        let arguments = hook["args"].as_array().into_iter().flatten();
        arguments.filter_map(Value::as_str).any(|word| word.contains("libnetwork-setkey"))
    };
    for kind in ["prestart", "createRuntime"] {
        let hooks = config.pointer_mut(&format!("/hooks/{kind}")).and_then(Value::as_array_mut);
        hooks.into_iter().for_each(|hooks| hooks.retain(|hook| !is_network(hook)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(config: &Value) -> Value {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        join(folder.path(), Path::new("/run/archetype/ns/n1")).unwrap();
        serde_json::from_slice(&fs::read(folder.path().join("config.json")).unwrap()).unwrap()
    }

    #[test]
    fn only_the_network_and_its_hook_change() {
        let before = json!({
            "process": {"args": ["sh"], "env": ["A=\u{e9}"]},
            "linux": {"namespaces": [{"type": "network"}, {"type": "pid"}]},
            "hooks": {"prestart": [{"path": "/p", "args": ["libnetwork-setkey", "-exec-root=/x"]}, {"path": "/other"}]}
        });
        let after = joined(&before);
        assert_eq!(after["process"], before["process"]);
        assert_eq!(
            after["linux"]["namespaces"],
            json!([{"type": "pid"}, {"type": "network", "path": "/run/archetype/ns/n1"}])
        );
        assert_eq!(after["hooks"]["prestart"], json!([{"path": "/other"}]));
    }

    #[test]
    fn a_container_that_was_to_share_the_hosts_network_gets_its_own() {
        let after = joined(&json!({"linux": {"namespaces": [{"type": "pid"}]}}));
        assert_eq!(after["linux"]["namespaces"][1]["path"], "/run/archetype/ns/n1");
    }

    #[test]
    fn a_file_that_is_no_configuration_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        let error = join(folder.path(), Path::new("/x")).unwrap_err();
        assert!(error.to_string().contains("no linux.namespaces"), "{error}");
    }
}
