//! The stages of a reading, one after the other.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use archetype_model::topology::{
    EndpointDecl, LinkDecl, LinkKind, MgmtDecl, Misnamed, NodeDecl, NodeDefinition, Position, Problem, Settings,
    Source, Stated, Topology, lab_folder,
};
use archetype_model::{LabName, NodeName};

use crate::definition::definition;
use crate::environment::{Environment, Unclosed, expand};
use crate::merge::{Level, Levels, States};
use crate::resolve::{self, Places, Surroundings};
use crate::tree::{self, Fault, Tree};
use crate::walk::{Fields, Walker};
use crate::{Reading, check, git, links, management, template};

/// Reads `text`; see `read_with`.
pub fn read(name: &str, directory: &Path, text: &str, environment: &Environment, variables: &[PathBuf]) -> Reading {
    let mut reading = as_written(name, directory, text, environment, variables);
    reading.problems.iter_mut().for_each(say_what_is_not_set);
    reading
}

impl Reading {
    /// Whether the topology's name is the file's, and not made up because it states none that is right.
    pub fn is_named(&self) -> bool {
        self.topology.as_ref().is_some_and(|topology| self.stated.name.as_deref() == Some(topology.name.as_str()))
    }

    /// Of a file of which nothing could be read.
    fn unreadable(problems: Vec<Problem>) -> Self {
        Self { topology: None, stated: Stated::default(), problems, notes: Vec::new() }
    }
}

/// What a template makes of a variable that has no value.
const NO_VALUE: &str = "<no value>";

/// Where a value of a template is missing, whatever is wrong with the text begins there.
fn say_what_is_not_set(problem: &mut Problem) {
    if problem.message.contains(NO_VALUE) {
        problem.hint =
            Some(format!("{NO_VALUE} stands where a variable of the template has none: name its file with --vars"));
    }
}

fn as_written(name: &str, directory: &Path, text: &str, environment: &Environment, variables: &[PathBuf]) -> Reading {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut walker = Walker::new(name);
    let with = template::Surroundings { name, directory, variables };
    let Some(rendered) = template::rendered(text, &with, &mut walker.problems) else {
        return Reading::unreadable(walker.problems);
    };
    let (expanded, unclosed) = expand(&rendered, environment);
    for Unclosed(at) in unclosed {
        let message = "\"${\" begins a variable, but its \"}\" is missing on this line";
        walker.problem("unclosed-variable", rendered.position(at), message).hint =
            Some("write \"$$\" for a dollar sign".into());
    }
    let (tree, faults) = tree::parse(&expanded);
    faults.into_iter().for_each(|fault| note(&mut walker, fault));
    let Some(declared) = tree.and_then(|tree| declared(&mut walker, &tree)) else {
        if walker.problems.is_empty() {
            walker.problem("empty-file", Position::START, "the file declares nothing").hint =
                Some("a topology has \"name:\" and \"topology:\"".into());
        }
        return Reading::unreadable(walker.problems);
    };
    let stage = Resolving { walker, name, directory, environment };
    stage.resolved(declared)
}

fn note(walker: &mut Walker, fault: Fault) {
    match fault {
        Fault::Syntax(at, what) => {
            walker.problem("yaml-syntax", at, format!("this is not YAML: {what}"));
        }
        Fault::Duplicate(at, first, key) => {
            let message = format!("key {key:?} stands twice: here and at {first}");
            walker.problem("duplicate-key", at, message).hint = Some("leave one of the two".into());
        }
        Fault::KeyNoText(at) => {
            walker.problem("wrong-type", at, "a key must be a text");
        }
        Fault::BadMerge(at) => {
            walker.problem("wrong-type", at, "the value of a merge key \"<<\" must be a mapping, or a list of them");
        }
    }
}

/// An entry of `nodes`, `kinds` or `groups`.
struct Entry {
    name: String,
    at: Position,
    /// Whether nothing stands behind the name.
    is_bare: bool,
    level: NodeDefinition,
}

/// What the file says, before inheritance.
struct Declared {
    name: Option<String>,
    name_at: Position,
    prefix: Option<String>,
    mgmt: MgmtDecl,
    settings: Settings,
    levels: Levels,
    nodes: Vec<Entry>,
    links: Vec<links::Read>,
}

fn declared(w: &mut Walker, tree: &Tree) -> Option<Declared> {
    let mut fields = w.fields("", tree)?;
    let f = &mut fields;
    let name = f.text(w, "name");
    let name_at = f.place("name");
    // An empty prefix is stated, unlike other empty texts: nodes then have their bare names.
    let prefix = f.take(w, "prefix").filter(|tree| !tree.is_null()).and_then(|tree| w.text("prefix", tree));
    let mgmt = f.take(w, "mgmt").map(|tree| management::management(w, tree)).unwrap_or_default();
    let settings = f.take(w, "settings").map(|tree| management::settings(w, tree)).unwrap_or_default();
    f.truth(w, "debug");
    let mut declared = Declared {
        name,
        name_at,
        prefix,
        mgmt,
        settings,
        levels: Levels::default(),
        nodes: Vec::new(),
        links: Vec::new(),
    };
    match f.take(w, "topology").and_then(|tree| w.fields("topology", tree)) {
        Some(inner) => topology(w, inner, &mut declared),
        None if w.has_told("topology") => {}
        None => {
            w.problem("missing-value", f.place("topology"), "the file has no topology").hint =
                Some("add \"topology:\" with \"nodes:\" in it".into());
        }
    }
    fields.finish(w);
    Some(declared)
}

fn topology(w: &mut Walker, mut fields: Fields<'_>, declared: &mut Declared) {
    let f = &mut fields;
    if let Some(tree) = f.take(w, "defaults") {
        declared.levels.defaults = definition(w, "topology.defaults", tree);
    }
    declared.levels.kinds = named(w, f, "kinds").into_iter().map(|entry| (entry.name, entry.level)).collect();
    declared.levels.groups = named(w, f, "groups").into_iter().map(|entry| (entry.name, entry.level)).collect();
    declared.nodes = named(w, f, "nodes");
    if let Some(tree) = f.take(w, "links") {
        declared.links = links::links(w, tree);
    }
    fields.finish(w);
}

/// The definitions under `key`, by name, in the order of the file.
fn named(w: &mut Walker, f: &mut Fields<'_>, key: &'static str) -> Vec<Entry> {
    let path = f.path_of(key);
    let Some(inner) = f.take(w, key).and_then(|tree| w.fields(&path, tree)) else { return Vec::new() };
    w.clashes(inner.entries);
    let mut named = Vec::with_capacity(inner.entries.len());
    for (name, tree) in inner.entries {
        let path = format!("{path}.{}", name.text);
        w.positions.insert(path.clone(), name.at);
        named.push(Entry {
            name: name.text.clone(),
            at: name.at,
            is_bare: tree.is_null(),
            level: definition(w, &path, tree),
        });
    }
    named
}

/// The variables that say whose lab it is, the first that has a value.
pub const OWNER: [&str; 3] = ["CLAB_OWNER", "SUDO_USER", "USER"];

/// The stages after the file is understood: inheritance, this host, checks.
struct Resolving<'a> {
    walker: Walker,
    name: &'a str,
    directory: &'a Path,
    environment: &'a Environment,
}

impl Resolving<'_> {
    fn resolved(mut self, declared: Declared) -> Reading {
        let stated = self.lab_name(declared.name.as_deref(), declared.name_at);
        let stated_name = stated.as_ref().map(ToString::to_string).or(declared.name);
        let lab = stated.unwrap_or_else(|| self.name_of_file());
        let lab_directory = self.lab_directory(&lab);
        let source = Source {
            directory: self.directory.to_string_lossy().into_owned(),
            file: Path::new(self.name).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            shown: self.name.to_owned(),
            lab_directory: lab_directory.to_string_lossy().into_owned(),
            owner: self.owner(),
        };
        let mut topology = Topology {
            name: lab,
            prefix: declared.prefix,
            mgmt: declared.mgmt,
            settings: declared.settings,
            nodes: archetype_model::Nodes::with_room_for(declared.nodes.len()),
            links: Vec::new(),
            source,
            positions: std::mem::take(&mut self.walker.positions),
        };
        let surroundings = Surroundings { directory: self.directory, lab_directory, environment: self.environment };
        self.authority(&mut topology, &surroundings);
        let known: Vec<String> = declared.nodes.iter().map(|entry| entry.name.clone()).collect();
        let mut misnamed = Vec::new();
        for entry in &declared.nodes {
            match self.node(&topology, &declared.levels, &surroundings, entry) {
                Ok(node) => topology.nodes.push(node),
                Err(without) => misnamed.push(*without),
            }
        }
        let joined = topology.nodes.iter().filter(|node| node.kind == "nokia_srsim");
        let joined: HashSet<&str> = joined.map(|node| node.name.as_str()).collect();
        let links: Vec<LinkDecl> = declared.links.into_iter().map(|read| typed(&joined, read)).collect();
        topology.links = links;
        let (mut problems, mut notes) = (self.walker.problems, self.walker.notes);
        let found = check::check(&mut topology, &known, &problems);
        problems.extend(found);
        // Links are judged from here on by their own places, and they change theirs in the list.
        topology.positions.retain(|path, _| !path.starts_with("topology.links["));
        in_file_order(&mut problems);
        in_file_order(&mut notes);
        Reading { topology: Some(topology), stated: Stated { name: stated_name, misnamed }, problems, notes }
    }

    /// The lab's name; one that is missing or refused is a problem.
    fn lab_name(&mut self, stated: Option<&str>, at: Position) -> Option<LabName> {
        let replaced = stated.map(|name| match name.contains("__git") {
            true => git::replace(name, self.directory),
            false => name.to_owned(),
        });
        match replaced.map(LabName::new) {
            Some(Ok(name)) => return Some(name),
            Some(Err(error)) => {
                self.walker.problem("bad-name", at, error.to_string());
            }
            None if self.walker.has_told("name") => {}
            None => {
                self.walker.problem("missing-value", at, "the lab has no name").hint =
                    Some("add \"name:\" at the top of the file".into());
            }
        }
        None
    }

    /// The name to go on with.
    fn name_of_file(&self) -> LabName {
        let file = Path::new(self.name).file_name().map(|name| name.to_string_lossy().into_owned());
        let stem = file.as_deref().and_then(|file| file.split('.').next()).unwrap_or_default();
        LabName::new(stem).or_else(|_| LabName::new("lab")).expect("a valid constant")
    }

    /// The authority that the environment or the file names, by absolute paths. One half alone is
    /// none.
    fn authority(&mut self, topology: &mut Topology, surroundings: &Surroundings<'_>) {
        let mut stated = topology.settings.certificate_authority.clone().unwrap_or_default();
        let variables = [("CLAB_CA_CERT_FILE", &mut stated.cert), ("CLAB_CA_KEY_FILE", &mut stated.key)];
        for (name, path) in variables {
            *path = self.environment.get(name).filter(|value| !value.is_empty()).cloned().or(path.take());
        }
        if let (Some(cert), Some(key)) = (&mut stated.cert, &mut stated.key) {
            for (key, path) in [("cert", cert), ("key", key)] {
                let absolute = surroundings.absolute(path);
                if !absolute.exists() {
                    let at = format!("settings.certificate-authority.{key}");
                    let at = topology.positions.get(&at).copied().unwrap_or(Position::START);
                    let message =
                        format!("the certificate authority's {key} {path:?} does not exist: {}", absolute.display());
                    self.walker.problem("certificate-refused", at, message).hint =
                        Some("create it, or correct the path; relative paths begin at the topology file".into());
                }
                *path = absolute.to_string_lossy().into_owned();
            }
            topology.settings.certificate_authority = Some(stated);
        }
    }

    fn lab_directory(&self, lab: &LabName) -> PathBuf {
        let base = self.environment.get("CLAB_LABDIR_BASE").filter(|base| !base.is_empty());
        let base = base.map_or_else(|| self.directory.to_owned(), |base| self.directory.join(base));
        base.join(lab_folder(lab))
    }

    /// The user whose lab it is, looked for where containerlab does.
    fn owner(&self) -> String {
        let mut said = OWNER.iter().filter_map(|name| self.environment.get(*name));
        said.find(|owner| !owner.is_empty()).cloned().unwrap_or_default()
    }

    /// One node, merged and resolved; a name that is none is a problem.
    fn node(
        &mut self,
        topology: &Topology,
        levels: &Levels,
        surroundings: &Surroundings<'_>,
        &Entry { ref name, at: position, is_bare, ref level }: &Entry,
    ) -> Result<NodeDecl, Box<Misnamed>> {
        let applied = levels.applied(name, level, is_bare);
        let definition = applied.merged(level);
        let name = match NodeName::new(name) {
            Ok(name) => name,
            Err(error) => {
                self.walker.problem("bad-name", position, error.to_string());
                return Err(Box::new(Misnamed { name: name.clone(), position, definition }));
            }
        };
        let kind = definition.kind.clone().unwrap_or_default();
        let mut node = NodeDecl::new(name, kind, definition, position);
        node.written = written(&self.walker.written, &applied.levels);
        let places = Places { positions: &topology.positions, levels: &applied.levels, node: position };
        resolve::node(&mut self.walker, surroundings, &mut node, &places);
        Ok(node)
    }
}

/// Keys whose values are kept in another form than their text.
const NOT_AS_WRITTEN: [(&str, States); 5] = [
    ("mgmt-ipv4", |_| false),
    ("mgmt-ipv6", |_| false),
    ("cgroupns-mode", |d| d.cgroupns_mode.is_some()),
    ("memory", |d| d.memory.is_some()),
    ("shm-size", |d| d.shm_size.is_some()),
];

/// The texts of a node's own values that its definition has in another form; `all` are those of the
/// file. Of a key that is inherited the level that decides is asked.
fn written(all: &BTreeMap<String, String>, levels: &[Level<'_>]) -> BTreeMap<String, String> {
    if all.is_empty() {
        return BTreeMap::new();
    }
    let of = |level: &Level<'_>, key: &str| all.get(&format!("{}.{key}", level.path)).cloned();
    let text = |(key, is_inherited, states): (&str, bool, States)| {
        let mut deciding = levels.iter().rev().take(if is_inherited { levels.len() } else { 1 });
        let level = deciding.find(|level| states(level.definition) || of(level, key).is_some())?;
        Some((key.to_owned(), of(level, key)?))
    };
    let keys = NOT_AS_WRITTEN.into_iter().map(|(key, states)| (key, !key.starts_with("mgmt-"), states));
    keys.filter_map(text).collect()
}

/// The link as the kinds of its nodes have it: a short-form link of an SR-SIM, one of `joined`, is
/// joined on the host.
fn typed(joined: &HashSet<&str>, read: links::Read) -> LinkDecl {
    let mut link = read.link;
    let stitched = |end: &EndpointDecl| joined.contains(&*end.node);
    if read.brief && link.kind == LinkKind::Veth && link.endpoints.iter().any(stitched) {
        link.kind = LinkKind::VethStitch;
    }
    link
}

/// By place, and each once.
fn in_file_order(problems: &mut Vec<Problem>) {
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems.dedup();
}
