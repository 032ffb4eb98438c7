//! Networks of addresses that are trusted.

use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// Addresses, written one by one or as networks (RFC 4632, RFC 4291 section 2.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// The rule for an address or a network.
const RULE: &str = "must be an address such as \"127.0.0.1\" or \"::1\", or a network such as \"10.0.0.0/8\"";

impl Networks {
    /// Whether `address` is in one of them. An IPv4 address that an IPv6 socket accepted (`::ffff:10.0.0.1`) is the IPv4
    /// address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether no address is in any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<IpNet>> for Networks {
    fn from(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, network) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            let is_address = network.prefix_len() == network.max_prefix_len();
            if is_address { network.addr().fmt(f)? } else { network.fmt(f)? }
        }
        Ok(())
    }
}

/// Reads an address, or a network without bits behind its prefix: those would be a slip in either of the two.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => text.parse::<IpNet>().map_err(|_| RULE.to_owned())?,
    };
    let meant = network.trunc();
    if network == meant {
        return Ok(of_ipv4(network));
    }
    Err(format!("must not have bits behind its prefix: the network is \"{meant}\", the address \"{}\"", network.addr()))
}

/// A network of IPv4 addresses in IPv6 form (`::ffff:10.0.0.0/104`) as a network of IPv4: addresses are compared so.
fn of_ipv4(network: IpNet) -> IpNet {
    const MAPPED_PREFIX: u8 = 96;
    let IpAddr::V4(address) = network.addr().to_canonical() else { return network };
    match network {
        IpNet::V6(v6) => {
            v6.prefix_len().checked_sub(MAPPED_PREFIX).and_then(|len| IpNet::new(address.into(), len).ok())
        }
        IpNet::V4(_) => None,
    }
    .unwrap_or(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        texts.iter().map(|text| network(text).unwrap()).collect::<Vec<_>>().into()
    }

    #[test]
    fn an_address_is_in_a_network_in_either_form_of_ipv4() {
        let networks = networks(&["127.0.0.1", "10.0.0.0/8", "fd00::/8", "::ffff:192.168.0.0/112", "::ffff:1.2.3.4"]);
        for (address, is_in) in [
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("::ffff:127.0.0.1", true),
            ("10.255.0.1", true),
            ("11.0.0.0", false),
            ("::ffff:10.1.2.3", true),
            ("fd12::1", true),
            ("fe80::1", false),
            ("::1", false),
            ("192.168.7.7", true),
            ("192.169.0.1", false),
            ("1.2.3.4", true),
        ] {
            assert_eq!(networks.contains(address.parse().unwrap()), is_in, "{address}");
        }
        assert_eq!(networks.to_string(), "127.0.0.1, 10.0.0.0/8, fd00::/8, 192.168.0.0/16, 1.2.3.4");
        assert!(!Networks::default().contains("127.0.0.1".parse().unwrap()));
    }
}
