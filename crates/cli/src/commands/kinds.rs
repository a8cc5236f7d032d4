//! `kinds`: what the ports of each kind of device are called, here and on the device.

use archetype_kinds::{Kind, Packaging, Pattern, Ports};
use serde::Serialize;

use super::{print, print_json};
use crate::args::KindsArgs;
use crate::connection::closest;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::paint::{Paint, Tone};
use crate::table::{NONE, table};

/// Every kind, for programs.
#[derive(Debug, Serialize)]
struct Kinds {
    kinds: Vec<Shown>,
}

/// One kind, for programs.
#[derive(Debug, Serialize)]
struct Shown {
    name: &'static str,
    aliases: &'static [String],
    title: &'static str,
    packaging: &'static str,
    /// Whether a file may use any name that Linux takes.
    any_name: bool,
    /// How the device names its ports; null where it takes the file's names.
    pattern: Option<String>,
    first_port: Option<Pair>,
    management: Option<ShownManagement>,
    ports: Vec<Family>,
    reserved: Vec<ShownReserved>,
}

/// One port by its two names.
#[derive(Debug, Serialize)]
struct Pair {
    vendor: String,
    linux: String,
}

#[derive(Debug, Serialize)]
struct ShownManagement {
    linux: &'static str,
    vendor: Option<&'static str>,
    also: &'static [String],
}

/// Ports of one form.
#[derive(Debug, Serialize)]
struct Family {
    vendor: Option<String>,
    linux: Vec<String>,
    file: Vec<String>,
    said: Vec<String>,
    examples: Vec<Pair>,
}

#[derive(Debug, Serialize)]
struct ShownReserved {
    names: &'static [String],
    why: &'static str,
}

/// Prints every kind, or all about one.
pub fn run(args: &KindsArgs) -> Result<Exit, Failure> {
    let paint = Paint::stdout();
    match &args.name {
        None if args.output.is_json() => {
            print_json(&Kinds { kinds: archetype_kinds::all().iter().map(shown).collect() })?;
        }
        None => print(&all(paint))?,
        Some(name) => {
            let kind = archetype_kinds::find(&name.to_lowercase()).ok_or_else(|| unknown(name))?;
            if args.output.is_json() {
                print_json(&shown(kind))?;
            } else {
                print(&one(kind, paint))?;
            }
        }
    }
    Ok(Exit::Fine)
}

fn unknown(name: &str) -> Failure {
    let nearest = || closest(name, archetype_kinds::names().map(str::to_owned).collect());
    let hint = match archetype_topology::kinds_alike(name).as_slice() {
        [] => nearest().map(|near| format!("did you mean {near}?")),
        [only] => Some(format!("did you mean {only}?")),
        several => Some(format!("did you mean one of {}?", several.join(", "))),
    };
    let hint = hint.unwrap_or_else(|| "`archetype kinds` lists every kind".to_owned());
    Failure::hinted(format!("there is no kind {name}"), hint)
}

fn shown(kind: &'static Kind) -> Shown {
    Shown {
        name: &kind.name,
        aliases: &kind.aliases,
        title: &kind.title,
        packaging: packaging(kind),
        any_name: kind.any,
        pattern: pattern(kind),
        first_port: kind.first_port().map(|(vendor, linux)| Pair { vendor, linux }),
        management: kind.management.as_ref().map(|management| ShownManagement {
            linux: &management.linux,
            vendor: management.vendor.as_deref(),
            also: &management.also,
        }),
        ports: kind.ports.iter().map(family).collect(),
        reserved: kind.reserved.iter().map(|r| ShownReserved { names: &r.names, why: &r.why }).collect(),
    }
}

fn family(ports: &Ports) -> Family {
    Family {
        vendor: ports.vendor.as_ref().map(Pattern::shown),
        linux: patterns(&ports.linux),
        file: patterns(&ports.file),
        said: patterns(&ports.said),
        examples: ports.examples().into_iter().map(|(vendor, linux)| Pair { vendor, linux }).collect(),
    }
}

fn patterns(patterns: &[Pattern]) -> Vec<String> {
    patterns.iter().map(Pattern::shown).collect()
}

fn packaging(kind: &Kind) -> &'static str {
    match kind.packaging {
        Packaging::Container => "container",
        Packaging::Machine => "machine",
        Packaging::Outside => "outside",
    }
}

/// The same for people.
fn comes_as(kind: &Kind) -> &'static str {
    if kind.needs_image() { packaging(kind) } else { "no image" }
}

/// How the device names its ports, where it has names of its own.
fn pattern(kind: &Kind) -> Option<String> {
    let ports = kind.ports.first()?;
    ports.vendor.as_ref().or(ports.linux.first()).map(Pattern::shown)
}

fn all(paint: Paint) -> String {
    let mut table = table(&["KIND", "ALSO", "COMES AS", "PORTS", "FIRST PORT", "MANAGEMENT"], paint);
    for kind in archetype_kinds::all() {
        let first = kind.first_port().map(|(vendor, linux)| both(&vendor, &linux));
        table.add_row([
            kind.name.clone(),
            listed(&kind.aliases),
            comes_as(kind).to_owned(),
            pattern(kind).unwrap_or_else(|| "any name".to_owned()),
            first.unwrap_or_else(|| NONE.to_owned()),
            management(kind),
        ]);
    }
    table.trim_fmt()
}

fn management(kind: &Kind) -> String {
    let Some(management) = &kind.management else { return NONE.to_owned() };
    both(management.vendor.as_deref().unwrap_or(&management.linux), &management.linux)
}

/// `Ethernet1 = eth1`, or one of the two where both are the same.
fn both(vendor: &str, linux: &str) -> String {
    if vendor == linux { linux.to_owned() } else { format!("{vendor} = {linux}") }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { NONE.to_owned() } else { names.join(" ") }
}

fn one(kind: &Kind, paint: Paint) -> String {
    let mut text = format!("{}  ({})\n", paint.tone(Tone::Strong, &kind.name), kind.title);
    let mut line = |what: &str, is: String| text.push_str(&format!("\n{what:<12}{is}"));
    line("also", listed(&kind.aliases));
    line("comes as", comes_as(kind).to_owned());
    line("management", management(kind));
    for other in kind.management.iter().flat_map(|management| &management.also) {
        line("", format!("{other}, another spelling"));
    }
    for reserved in &kind.reserved {
        line("reserved", format!("{}: {}", reserved.names.join(", "), reserved.why));
    }
    if kind.any {
        line("in files", "any name that Linux takes".to_owned());
    }
    if kind.ports.is_empty() {
        return text + "\n";
    }
    let mut spelled = table(&["ON THE DEVICE", "IN LINUX", "ALSO IN FILES", "ALSO UNDERSTOOD"], paint);
    let mut examples = table(&["ON THE DEVICE", "IN LINUX"], paint);
    for ports in &kind.ports {
        let linux = patterns(&ports.linux);
        let vendor = ports.vendor.as_ref().map_or_else(|| linux[0].clone(), Pattern::shown);
        spelled.add_row([vendor, linux.join(" "), listed(&patterns(&ports.file)), listed(&patterns(&ports.said))]);
        for (vendor, linux) in ports.examples() {
            examples.add_row([vendor, linux]);
        }
    }
    format!("{text}\n\n{}\n\n{}\n", spelled.trim_fmt(), examples.trim_fmt())
}
