//! Addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use archetype_gotemplate::Value;
use archetype_gotemplate::value::Call;
use ipnet::IpNet;

use super::{convert, shown};

/// `net.CIDRHost NUMBER PREFIX`: the address of that number in the network; negative numbers count
/// from its end.
pub fn host(call: &Call<'_>) -> Result<Value, String> {
    let prefix = shown(&call.arguments[1], call.room)?;
    let network = parsed(&prefix).ok_or_else(|| format!("{prefix:?} is no network like 10.0.0.0/24"))?;
    let number = convert::integer(&call.arguments[0])?;
    let bits = u32::from(network.max_prefix_len() - network.prefix_len());
    let last = if bits == 128 { u128::MAX } else { (1u128 << bits) - 1 };
    let distance = if number < 0 { u128::from(number.unsigned_abs()) - 1 } else { u128::from(number.unsigned_abs()) };
    if distance > last {
        return Err(format!("a network with prefix length {} has no host {number}", network.prefix_len()));
    }
    let offset = if number < 0 { last - distance } else { distance };
    let address = match network.network() {
        IpAddr::V4(first) => {
            u32::try_from(u128::from(first.to_bits()) | offset).map(|bits| Ipv4Addr::from(bits).to_string())
        }
        IpAddr::V6(first) => Ok(Ipv6Addr::from(first.to_bits() | offset).to_string()),
    };
    address.map(Value::text).map_err(|_| "the address is too large".to_owned())
}

/// A network; its prefix length has no sign and no zeros before it.
fn parsed(text: &str) -> Option<IpNet> {
    let (_, length) = text.rsplit_once('/')?;
    let plain = length.bytes().all(|byte| byte.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}
