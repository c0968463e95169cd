//! What the guard works with: the accounts, once they can be read, and what it takes to know where a request comes from.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, OnceLock},
};

use etl::settings::Web;
use http::HeaderMap;
use ipnet::IpNet;

use super::{Access, cookies::Cookies, hosts::Hosts};

/// Accounts are there once the database is.
pub struct Gate {
    access: OnceLock<Arc<Access>>,
    pub cookies: Cookies,
    /// `https://host`: how links begin that are handed out.
    pub public_url: String,
    pub(super) hosts: Hosts,
    trusted_proxies: Vec<IpNet>,
}

impl Gate {
    pub fn new(web: &Web, public_url: String) -> Gate {
        Gate {
            access: OnceLock::new(),
            cookies: Cookies { secure: public_url.starts_with("https://") },
            hosts: Hosts::new(web, &public_url),
            public_url,
            trusted_proxies: web.trusted_proxies.clone(),
        }
    }

    /// From now on people are let in. Only the first call counts.
    pub fn open(&self, access: Arc<Access>) {
        _ = self.access.set(access);
    }

    pub fn access(&self) -> Option<&Arc<Access>> {
        self.access.get()
    }

    /// Where a request comes from. What proxies say is believed only of those that are trusted: the last address in
    /// `X-Forwarded-For` or `Forwarded` (RFC 7239) that is not one of theirs. Where the two disagree one of them came from the
    /// client itself, which chooses no address for itself: the proxy's own counts.
    pub(super) fn address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> IpAddr {
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical();
        if !self.trusts(&peer) {
            return peer;
        }
        let common = chain(headers, "x-forwarded-for");
        let common = (!common.is_empty()).then(|| self.nearest(peer, common.iter().map(|hop| node(hop))));
        let standard = chain(headers, "forwarded");
        let standard =
            (!standard.is_empty()).then(|| self.nearest(peer, standard.iter().map(|hop| forwarded_for(hop))));
        match (common, standard) {
            (Some(common), Some(standard)) if common != standard => peer,
            (common, standard) => common.or(standard).unwrap_or(peer),
        }
    }

    fn trusts(&self, address: &IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(address))
    }

    /// Goes back from hop to hop as long as each was said by a proxy that is trusted, and is an address.
    fn nearest(&self, peer: IpAddr, hops: impl DoubleEndedIterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut nearest = peer;
        for hop in hops.rev() {
            let Some(address) = hop else { break };
            nearest = address.to_canonical();
            if !self.trusts(&nearest) {
                break;
            }
        }
        nearest
    }
}

/// The hops of a header, the client's first. Commas divide even within quotes: an address has none, and a quote that the client
/// left open hides nothing of what a proxy wrote behind it.
fn chain<'a>(headers: &'a HeaderMap, name: &'static str) -> Vec<&'a str> {
    // What is no text is no address, but a hop.
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|hop| !hop.is_empty()).collect()
}

/// An address as proxies write it: alone, with a port, in brackets, in quotes.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse::<IpAddr>().ok().or_else(with_port).or_else(bare)
}

/// The address that an element of `Forwarded` names with `for`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| node(value))
    })?
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let web = Web { trusted_proxies: vec!["10.0.0.0/8".parse().expect("a net")], ..Web::default() };
        let gate = Gate::new(&web, "http://localhost".to_owned());
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("1.1.1.1, 203.0.113.7"));
        headers.append("x-forwarded-for", HeaderValue::from_static("10.1.1.1"));
        let address = |peer: &str| gate.address(Some(peer.parse().expect("an address")), &headers).to_string();
        assert_eq!(address("198.51.100.1"), "198.51.100.1", "anybody can send the header");
        assert_eq!(address("10.0.0.1"), "203.0.113.7", "what the client itself wrote is not believed");
        assert_eq!(address("::ffff:10.0.0.1"), "203.0.113.7");
    }

    #[test]
    fn every_form_in_which_proxies_write_an_address_is_read() {
        let web = Web {
            trusted_proxies: ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().expect("a net")).to_vec(),
            ..Web::default()
        };
        let gate = Gate::new(&web, "http://localhost".to_owned());
        let seen = |lines: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, HeaderValue::from_str(value).expect("text"));
            }
            gate.address(Some("10.0.0.1".parse().expect("an address")), &headers).to_string()
        };
        for (value, address) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("\"203.0.113.7:4711\"", "203.0.113.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("198.51.100.1, 203.0.113.7:1, 10.2.2.2:80, [fd00::1]:80", "203.0.113.7"),
            // What no proxy that is trusted has vouched for is nobody's address.
            ("198.51.100.1, unknown", "10.0.0.1"),
            ("198.51.100.1, unknown, 10.2.2.2", "10.2.2.2"),
            ("x", "10.0.0.1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(seen(&[("x-forwarded-for", value)]), address, "{value}");
        }
        for (value, address) in [
            ("for=203.0.113.7", "203.0.113.7"),
            ("For=\"203.0.113.7:4711\";proto=https;by=10.0.0.1", "203.0.113.7"),
            ("proto=https; for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=198.51.100.1, for=203.0.113.7, for=10.2.2.2", "203.0.113.7"),
            ("for=\", for=203.0.113.7", "203.0.113.7"),
            ("for=203.0.113.7, for=_hidden", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
        ] {
            assert_eq!(seen(&[("forwarded", value)]), address, "{value}");
        }
        // A proxy that knows one of them passes on what the client wrote into the other.
        let both = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=198.51.100.1")];
        assert_eq!(seen(&both), "10.0.0.1");
        assert_eq!(seen(&[("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")]), "203.0.113.7");
    }
}
