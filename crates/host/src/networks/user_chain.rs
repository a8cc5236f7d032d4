//! Our rules in Docker's chain `DOCKER-USER`. Where Docker keeps the forward chain's policy at
//! "drop", an accept in a table of ours is not enough. The programs are those that Docker itself
//! calls, so both work on the same rules, nft or legacy; one call each to read, one to write.

use std::collections::BTreeSet;
use std::process::Command;

use archetype_model::network::NetworkWanted;
use archetype_model::observed::PassagesObserved;
use archetype_model::{BridgeName, InstallationId, NetworkName};

use super::{Error, rules};

/// The chain that Docker leaves to others and jumps to first.
pub(super) const CHAIN: &str = "DOCKER-USER";
const PROGRAMS: [&str; 2] = ["iptables", "ip6tables"];

/// The mark on each of a network's rules.
fn mark(installation: &InstallationId, network: &NetworkName) -> String {
    format!("archetype:{installation}:{network}")
}

/// The rules, in their order, as `iptables -S` prints them without the quotes.
fn wanted_rules(installation: &InstallationId, wanted: &NetworkWanted) -> Vec<String> {
    let bridge = &wanted.network.bridge;
    let out = if wanted.network.external_access { "" } else { " -m conntrack --ctstate RELATED,ESTABLISHED,DNAT" };
    accepted(&[format!("-i {bridge}"), format!("-o {bridge}{out}")], &mark(installation, &wanted.network.name))
}

fn accepted(matches: &[String], mark: &str) -> Vec<String> {
    matches.iter().map(|what| format!("-A {CHAIN} {what} -m comment --comment {mark} -j ACCEPT")).collect()
}

/// The mark on the rules of a bridge that is the host's. No network's name has a colon.
fn bridge_mark(installation: &InstallationId, bridge: &BridgeName) -> String {
    format!("{}{bridge}", bridge_mark_head(installation))
}

fn bridge_mark_head(installation: &InstallationId) -> String {
    format!("archetype:{installation}:bridge:")
}

fn bridge_rules(installation: &InstallationId, bridge: &BridgeName) -> Vec<String> {
    accepted(&[format!("-i {bridge}"), format!("-o {bridge}")], &bridge_mark(installation, bridge))
}

/// The chain of each family that has one: Docker does not filter the others.
pub(super) struct Chains(Vec<Vec<String>>);

impl Chains {
    /// Reads them.
    pub fn read() -> Result<Self, Error> {
        let read = PROGRAMS.map(list).into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Self(read.into_iter().flatten().collect()))
    }

    /// Whether every one has exactly the network's rules before all that are not ours.
    pub fn hold(&self, installation: &InstallationId, wanted: &NetworkWanted) -> bool {
        let (mark, rules) = (mark(installation, &wanted.network.name), wanted_rules(installation, wanted));
        self.0.iter().all(|chain| is_right(chain, &mark, &rules))
    }

    /// What they have of ours for bridges of the host.
    pub fn passages(&self, installation: &InstallationId) -> PassagesObserved {
        let head = format!("--comment {}", bridge_mark_head(installation));
        let named = self.0.iter().flatten().filter_map(|rule| {
            let (_, rest) = rule.split_once(&head)?;
            BridgeName::new(rest.split(' ').next()?).ok()
        });
        let named: BTreeSet<BridgeName> = named.collect();
        let right = |bridge: &BridgeName| {
            let (mark, rules) = (bridge_mark(installation, bridge), bridge_rules(installation, bridge));
            self.0.iter().all(|chain| is_right(chain, &mark, &rules))
        };
        let bridges = named.into_iter().map(|bridge| (bridge.clone(), right(&bridge))).collect();
        PassagesObserved { filtered: !self.0.is_empty(), bridges }
    }
}

/// Lets what a bridge of the host carries through.
pub(super) fn open(installation: &InstallationId, bridge: &BridgeName) -> Result<(), Error> {
    replace(&bridge_mark(installation, bridge), &bridge_rules(installation, bridge))
}

/// Takes a bridge's rules out.
pub(super) fn close(installation: &InstallationId, bridge: &BridgeName) -> Result<(), Error> {
    replace(&bridge_mark(installation, bridge), &[])
}

/// Makes it so, in one transaction a family. A chain that is not there wants nothing: Docker does
/// not filter that family.
pub(super) fn set(installation: &InstallationId, wanted: &NetworkWanted) -> Result<(), Error> {
    replace(&mark(installation, &wanted.network.name), &wanted_rules(installation, wanted))
}

/// Takes a network's rules out.
pub(super) fn remove(installation: &InstallationId, network: &NetworkName, _: &BridgeName) -> Result<(), Error> {
    replace(&mark(installation, network), &[])
}

fn replace(mark: &str, rules: &[String]) -> Result<(), Error> {
    for program in PROGRAMS {
        let Some(chain) = list(program)? else { continue };
        if is_right(&chain, mark, rules) {
            continue;
        }
        let mut text = String::from("*filter\n");
        for old in ours(&chain, mark) {
            text += &format!("{}\n", old.replacen("-A", "-D", 1));
        }
        for new in rules.iter().rev() {
            text += &format!("{}\n", new.replacen("-A", "-I", 1));
        }
        text += "COMMIT\n";
        let restore = format!("{program}-restore");
        let what = || format!("{restore}: set the rules of {mark} in {CHAIN}");
        rules::run(Command::new(&restore).args(["-w", "5", "--noflush"]), &text, "iptables", what)?;
    }
    Ok(())
}

/// Ours are right when they stand in their order before everything that is not ours of any network.
fn is_right(chain: &[String], mark: &str, rules: &[String]) -> bool {
    let ours = ours(chain, mark);
    let first_foreign = chain.iter().position(|rule| !rule.contains("--comment archetype:"));
    let last_ours = chain.iter().rposition(|rule| ours.contains(&rule));
    ours.iter().copied().eq(rules) && (last_ours < first_foreign || first_foreign.is_none() || last_ours.is_none())
}

fn ours<'a>(chain: &'a [String], mark: &str) -> Vec<&'a String> {
    let wanted = format!("--comment {mark} ");
    chain.iter().filter(|rule| rule.contains(&wanted)).collect()
}

/// The chain's rules; none where there is no such chain, or no such program (then there is no
/// Docker that filters either).
fn list(program: &str) -> Result<Option<Vec<String>>, Error> {
    let what = || format!("{program} -S {CHAIN}");
    match rules::run(Command::new(program).args(["-w", "5", "-S", CHAIN]), "", "iptables", what) {
        Ok(text) => {
            let rules = text.lines().filter(|line| line.starts_with("-A")).map(|line| line.replace('"', ""));
            Ok(Some(rules.collect()))
        }
        Err(Error::ProgramMissing { .. }) => Ok(None),
        // "No chain/target/match by that name" in several wordings, or a family the kernel lacks.
        Err(Error::Program { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(rules: &[&str]) -> Vec<String> {
        rules.iter().map(|rule| format!("-A DOCKER-USER {rule}")).collect()
    }

    #[test]
    fn rules_of_ours_after_a_foreign_one_are_not_right() {
        let mark = "archetype:ab1c2:clab";
        let one = "-i br -m comment --comment archetype:ab1c2:clab -j ACCEPT";
        let other = "-i b2 -m comment --comment archetype:zz9zz:clab -j ACCEPT";
        let wanted = chain(&[one]);
        assert!(is_right(&chain(&[one, "-j RETURN"]), mark, &wanted));
        assert!(is_right(&chain(&[other, one, "-j RETURN"]), mark, &wanted));
        assert!(!is_right(&chain(&["-j RETURN", one]), mark, &wanted));
        assert!(!is_right(&chain(&["-j RETURN"]), mark, &wanted));
        assert!(!is_right(&chain(&[one, one]), mark, &wanted));
        assert!(is_right(&chain(&["-j RETURN"]), mark, &[]));
    }

    #[test]
    fn bridges_of_the_host_are_told_by_our_mark_alone_and_right_only_in_every_chain() {
        let (ours, bridge) = ("ab1c2".parse().unwrap(), "br-lab".parse().unwrap());
        let rules = bridge_rules(&ours, &bridge);
        let foreign = chain(&["-i br-x -m comment --comment archetype:zz9zz:bridge:br-x -j ACCEPT", "-j RETURN"]);
        let whole: Vec<String> = rules.iter().chain(&foreign).cloned().collect();
        let seen =
            |chains: &[&Vec<String>]| Chains(chains.iter().map(|&chain| chain.clone()).collect()).passages(&ours);
        assert_eq!(seen(&[&whole, &whole]).bridges, [(bridge.clone(), true)].into());
        assert_eq!(seen(&[&whole, &foreign]).bridges, [(bridge.clone(), false)].into());
        assert_eq!(seen(&[&whole[1..].to_vec()]).bridges, [(bridge, false)].into());
        assert_eq!(seen(&[&foreign]), PassagesObserved { filtered: true, bridges: [].into() });
        assert!(!seen(&[]).filtered);
    }
}
