//! The files under `kinds/`, one a kind, in the binary.

/// A file's name and its text.
pub type File = (&'static str, &'static str);

/// Names a file once, for its name and its text.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../kinds/", $name, ".toml")))),*]
    };
}

/// Every file, by name.
#[rustfmt::skip]
pub const FILES: &[File] = files![
    "6wind_vsr", "arista_ceos", "arista_veos", "arrcus_arcos", "aruba_aoscx", "bridge", "checkpoint_cloudguard",
    "ciena_saos", "cisco_asav", "cisco_c8000", "cisco_c8000v", "cisco_cat9kv", "cisco_csr1000v", "cisco_ftdv",
    "cisco_iol", "cisco_n9kv", "cisco_sdwan", "cisco_vios", "cisco_xrd", "cisco_xrd_vrouter", "cisco_xrv",
    "cisco_xrv9k", "cumulus_cvx", "dell_ftosv", "dell_sonic", "ext-container", "f5_bigip-ve", "fdio_vpp",
    "fortinet_fortigate", "freebsd", "generic_vm", "host", "huawei_vrp", "ipinfusion_ocnos", "juniper_cjunosevolved",
    "juniper_crpd", "juniper_csrx", "juniper_vjunosevolved", "juniper_vjunosrouter", "juniper_vjunosswitch",
    "juniper_vmx", "juniper_vqfx", "juniper_vsrx", "k8s-kind", "keysight_ixia-c-one", "linux", "mikrotik_ros",
    "nokia_srlinux", "nokia_sros", "nokia_srsim", "nvidia_cumulusvx", "openbsd", "openwrt", "ovs-bridge",
    "paloalto_panos", "plvision_sonic", "rare", "sonic-vm", "sonic-vs", "spirent_stc", "veesix_osvbng",
    "vyosnetworks_vyos",
];
