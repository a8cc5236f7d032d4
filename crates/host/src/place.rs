//! Where an installation keeps things on its host. Every path is made here.

use std::path::{Path, PathBuf};

use archetype_model::{ContainerName, InstallationId};

/// The folders of one installation on one host. All of it lies under `/run` and is gone after a
/// reboot, as the things it describes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    installation: InstallationId,
    run: PathBuf,
}

impl Place {
    /// The place of `installation`: `/run/archetype/INSTALLATION`.
    pub fn new(installation: InstallationId) -> Self {
        let run = Path::new("/run/archetype").join(installation.as_str());
        Self { installation, run }
    }

    /// Whose it is.
    pub fn installation(&self) -> &InstallationId {
        &self.installation
    }

    /// The folder that holds everything else.
    pub fn root(&self) -> &Path {
        &self.run
    }

    /// The folder of pinned namespaces.
    pub fn pins(&self) -> PathBuf {
        self.run.join("netns")
    }

    /// Where a node's namespace is pinned.
    pub fn pin(&self, container: &ContainerName) -> PathBuf {
        self.pins().join(container.as_str())
    }

    /// The folder of the nodes' own folders.
    pub fn nodes(&self) -> PathBuf {
        self.run.join("nodes")
    }

    /// The folder with everything else of a node: mark, facts of a namespace node, run state,
    /// hosts file, output.
    pub fn node(&self, container: &ContainerName) -> PathBuf {
        self.nodes().join(container.as_str())
    }

    /// Where a node's folder is while it is being removed: under no name of a container.
    pub fn going_folder(&self, container: &ContainerName) -> PathBuf {
        self.nodes().join(format!(".{container}"))
    }

    /// The node of which a folder of this name is left that is being removed.
    pub fn going(&self, folder: &str) -> Option<ContainerName> {
        ContainerName::new(folder.strip_prefix('.')?).ok()
    }

    /// The file that says whose a node's namespace is.
    pub fn mark_file(&self, container: &ContainerName) -> PathBuf {
        self.node(container).join("mark")
    }

    /// The facts of what is to be in a node's namespace. The runtime finds those of a container
    /// under the container's id (`archetype_model::facts::FACTS_FOLDER`).
    pub fn facts_file(&self, container: &ContainerName) -> PathBuf {
        self.node(container).join("facts.json")
    }

    /// What the facts were made from.
    pub fn facts_digest(&self, container: &ContainerName) -> PathBuf {
        self.node(container).join("facts.digest")
    }

    /// The full id of the node's container, where it has one.
    pub fn container_id_file(&self, container: &ContainerName) -> PathBuf {
        self.node(container).join("container-id")
    }

    /// The run state of a namespace node.
    pub fn run_folder(&self, container: &ContainerName) -> PathBuf {
        self.node(container).join("run")
    }

    /// Notes of the node's commands that have begun.
    pub fn begun_folder(&self, container: &ContainerName) -> PathBuf {
        self.node(container).join("begun")
    }

    /// What a namespace node's command printed.
    pub fn output_file(&self, container: &ContainerName) -> PathBuf {
        self.run_folder(container).join("output.log")
    }

    /// The node's own hosts file, bound at `/etc/hosts` inside.
    pub fn hosts_file(&self, container: &ContainerName) -> PathBuf {
        self.node(container).join("hosts")
    }

    /// The node's own resolv.conf, where one is made.
    pub fn resolver_file(&self, container: &ContainerName) -> PathBuf {
        self.node(container).join("resolv.conf")
    }

    /// The second name of a node's namespace, for people's tools.
    pub fn name(container: &ContainerName) -> PathBuf {
        Path::new("/run/netns").join(container.as_str())
    }
}

/// Makes way for a file that the Docker Engine is to bind: the folder above it is there, and no
/// empty folder is in its place. The engine makes one of a missing source, when somebody starts the
/// container before us after a reboot.
pub(crate) fn make_way(file: &Path) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if file.is_dir() {
        std::fs::remove_dir(file)?;
    }
    Ok(())
}
