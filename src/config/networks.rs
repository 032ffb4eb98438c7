//! The addresses of trusted proxies.

use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// A set of addresses and networks (RFC 4632; RFC 4291, section 2.3). The peers of Unix sockets, which have no address,
/// may be in it too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    networks: Vec<IpNet>,
    unix: bool,
}

/// The word for the peers of Unix sockets.
const UNIX: &str = "unix";

/// The rule for an address or a network.
const RULE: &str = "must be an address such as \"127.0.0.1\" or \"::1\", a network such as \"10.0.0.0/8\", or \"unix\"";

impl Networks {
    /// Whether `address` is in the set. An IPv4 address in IPv6 form (`::ffff:10.0.0.1`), as an IPv6 socket reports
    /// it, counts as the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whether the peer of a connection is in the set. `None`: the peer of a Unix socket.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.unix, |address| self.contains(address))
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }
}

/// One element of [`Networks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trusted {
    /// One address or one network.
    Network(IpNet),
    /// The peers of Unix sockets.
    Unix,
}

impl FromIterator<Trusted> for Networks {
    fn from_iter<T: IntoIterator<Item = Trusted>>(trusted: T) -> Self {
        let mut networks = Self::default();
        for trusted in trusted {
            match trusted {
                Trusted::Network(network) => networks.networks.push(network),
                Trusted::Unix => networks.unix = true,
            }
        }
        networks
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, network) in self.networks.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            let is_address = network.prefix_len() == network.max_prefix_len();
            if is_address { network.addr().fmt(f)? } else { network.fmt(f)? }
        }
        match (self.unix, self.networks.is_empty()) {
            (true, true) => f.write_str(UNIX),
            (true, false) => write!(f, ", {UNIX}"),
            (false, _) => Ok(()),
        }
    }
}

/// Reads an address or a network. A network with bits after its prefix is refused, because either the address or the
/// length of the prefix is a mistake.
pub(super) fn trusted(text: &str) -> Result<Trusted, String> {
    if text == UNIX {
        return Ok(Trusted::Unix);
    }
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => text.parse::<IpNet>().map_err(|_| RULE.to_owned())?,
    };
    let meant = network.trunc();
    if network == meant {
        return Ok(Trusted::Network(of_ipv4(network)));
    }
    let address = network.addr();
    Err(format!(
        "must not have bits after its prefix: write \"{meant}\" for the network, or \"{address}\" for the address"
    ))
}

/// Turns a network of IPv4 addresses in IPv6 form (`::ffff:10.0.0.0/104`) into an IPv4 network, because addresses are
/// compared as IPv4.
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
        texts.iter().map(|text| trusted(text).unwrap()).collect()
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

    #[test]
    fn whoever_comes_by_a_unix_socket_is_trusted_where_it_is_named() {
        for (texts, unix, shown) in
            [(&["127.0.0.1"][..], false, "127.0.0.1"), (&["unix"], true, "unix"), (&["::1", "unix"], true, "::1, unix")]
        {
            let networks = networks(texts);
            assert_eq!((networks.trusts(None), networks.to_string().as_str()), (unix, shown));
            assert_eq!(networks.trusts(Some("127.0.0.1".parse().unwrap())), texts == ["127.0.0.1"]);
            assert!(!networks.is_empty());
        }
    }
}
