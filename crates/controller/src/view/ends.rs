//! Ends of links, interfaces and ports in the words of the API: what was read back at each.

use std::collections::BTreeMap;

use archetype_api::lab::Endpoint;
use archetype_api::mapping::{InterfaceMapping, NodeInterface};
use archetype_kinds::vendor_name;
use archetype_model::report::{BridgeSeen, EndReport};
use archetype_model::spec::{Attachment, EndRef, InterfaceSpec, NodeSpec};
use archetype_model::topology::{EndpointDecl, Place};
use archetype_model::{LabName, NodeName};
use jiff::Timestamp;

use crate::judging::LinkIds;
use crate::now::Now;
use crate::port::Addresses;
use crate::store::timestamp;

/// What was read back at each end of a lab's links, and at the `eth0` of its nodes.
pub(super) struct Ends<'a> {
    told: BTreeMap<&'a EndRef, &'a EndReport>,
    at: Option<Timestamp>,
}

impl<'a> Ends<'a> {
    /// The ends of a lab.
    pub fn of(now: &'a Now, lab: &LabName) -> Self {
        let wires = now.heard.as_ref().and_then(|heard| heard.report.wires.get(lab));
        let ends = wires.into_iter().flat_map(|wires| wires.values()).flat_map(|wire| &wire.ends);
        let nodes = now.part(lab).into_iter().flat_map(|part| &part.nodes);
        let eth0 = nodes.filter_map(|node| now.heard.as_ref()?.report.management.get(&node.container));
        let at = now.heard.as_ref().map(|heard| timestamp(heard.verified_at_ms));
        Self { told: ends.chain(eth0).map(|end| (&end.end, end)).collect(), at }
    }

    /// One end of a declared link; `end` is the interface that it is, `kind` that of its node.
    pub fn endpoint(&self, declared: &EndpointDecl, end: Option<&EndRef>, kind: Option<&str>) -> Endpoint {
        let of_node = end.filter(|_| declared.place == Place::Node);
        let told = of_node.and_then(|end| self.told.get(end).copied());
        let port = told.and_then(|told| told.port.as_ref());
        let linux = declared.linux_interface.clone();
        let vendor = kind.zip(linux.as_ref()).and_then(|(kind, linux)| vendor_name(kind, linux.as_str()));
        Endpoint {
            node: declared.node.clone(),
            interface: declared.interface.clone(),
            vendor_interface: vendor,
            ovs_port: port.and(told).map(|told| told.device_name.clone()),
            vlan_tag: port.and_then(|port| port.tag),
            linux_interface: linux,
        }
    }

    /// Which port is which interface, in spec order. `eth0` of the management network leads to no
    /// link, and is not among them.
    pub fn mappings(&self, now: &Now, lab: &LabName, links: &LinkIds) -> Vec<InterfaceMapping> {
        let nodes = now.part(lab).into_iter().flat_map(|part| &part.nodes);
        let all = nodes.flat_map(|node| node.interfaces.iter().map(move |interface| (node, interface)));
        let mapping = |(node, interface): (&NodeSpec, &InterfaceSpec)| {
            let end = end_of(node, interface);
            let link = links.get(&end)?.clone();
            let told = self.told.get(&end).copied();
            let port = told.and_then(|told| told.port.as_ref());
            let device = told.and_then(|told| told.device.as_ref());
            let on_bridge = |bridge: &&BridgeSeen| {
                bridge.ifindex.is_some() && device.is_some_and(|device| device.controller == bridge.ifindex)
            };
            let bridge = told.and_then(|told| told.bridge.as_ref()).filter(on_bridge);
            Some(InterfaceMapping {
                lab: lab.clone(),
                node: node.name.clone(),
                device_kind: node.kind.clone(),
                linux_interface: interface.name.clone(),
                vendor_interface: vendor_name(&node.kind, interface.name.as_str()),
                attachment: attachment(interface).0.to_string(),
                host_device: device.map(|_| interface.host_device.to_string()),
                linux_bridge: bridge.map(|bridge| bridge.name.to_string()),
                ovs_port: port.map(|_| interface.host_device.to_string()),
                ovs_bridge: port.map(|port| port.bridge.to_string()),
                ofport: port.and_then(|port| port.ofport),
                vlan_tag: port.and_then(|port| port.tag),
                link,
                last_verified_at: self.at.filter(|_| told.is_some()),
            })
        };
        all.filter_map(mapping).collect()
    }

    /// The interfaces of a node, in spec order.
    pub fn interfaces(
        &self,
        now: &Now,
        lab: &LabName,
        node: &NodeName,
        addresses: &Addresses,
        links: &LinkIds,
    ) -> Vec<NodeInterface> {
        let Some(node) = now.part(lab).and_then(|part| part.node(node)) else { return Vec::new() };
        let interfaces = node.interfaces.iter().map(|interface| {
            let end = end_of(node, interface);
            let told = self.told.get(&end).copied();
            let inside = told.and_then(|told| told.inside.as_ref());
            let device = told.and_then(|told| told.device.as_ref());
            let found = device.filter(|_| inside.is_some()).and_then(|device| addresses.get(&device.ifindex));
            let (attachment, attached_to) = attachment(interface);
            NodeInterface {
                linux_interface: interface.name.clone(),
                vendor_interface: vendor_name(&node.kind, interface.name.as_str()),
                mac: interface.mac,
                mtu: interface.mtu.get(),
                attachment: attachment.to_string(),
                attached_to: links.get(&end).cloned().filter(|_| attachment == "wire").or(attached_to),
                link: links.get(&end).cloned(),
                host_device: interface.host_device.clone(),
                name_now: inside.map(|inside| inside.name.clone()),
                up: inside.map(|inside| inside.up),
                carrier: inside.map(|inside| inside.carrier),
                mtu_now: inside.map(|inside| inside.mtu),
                mac_now: inside.and_then(|inside| inside.mac),
                addresses: found.into_iter().flatten().map(ToString::to_string).collect(),
                last_verified_at: self.at.filter(|_| told.is_some()),
            }
        });
        interfaces.collect()
    }
}

fn end_of(node: &NodeSpec, interface: &InterfaceSpec) -> EndRef {
    EndRef { node: node.name.clone(), interface: interface.name.clone() }
}

fn attachment(interface: &InterfaceSpec) -> (&'static str, Option<String>) {
    match &interface.attachment {
        Attachment::Wire { wire } => ("wire", Some(wire.to_string())),
        Attachment::Network { network, .. } => ("network", Some(network.to_string())),
        Attachment::Host => ("host", None),
        Attachment::ForeignBridge { bridge } => ("bridge", Some(bridge.to_string())),
    }
}
