//! What the guard works with: the accounts, once they can be read, and what it takes to know where a request comes from.

use std::{
    net::{IpAddr, Ipv4Addr},
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
    /// `X-Forwarded-For` that is not one of theirs.
    pub(super) fn address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> IpAddr {
        let trusted = |address: &IpAddr| self.trusted_proxies.iter().any(|net| net.contains(address));
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical();
        if !trusted(&peer) {
            return peer;
        }
        let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let mut chain: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut nearest = peer;
        while let Some(hop) = chain.pop() {
            let Ok(address) = hop.parse::<IpAddr>() else { break };
            nearest = address.to_canonical();
            if !trusted(&nearest) {
                break;
            }
        }
        nearest
    }
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
}
