//! The names that this server goes by. A browser that another site's name leads here (DNS rebinding) takes us for that site,
//! so a name that is not ours is not answered; and what changes something comes from a page under a name of ours.

use axum::extract::Request;
use etl::settings::Web;
use http::{header, uri::Authority};
use url::{Host, Url};

/// What shows no more than that the process runs: probes ask for it by whatever address they have.
const OPEN: [&str; 3] = ["/api/v1/health", "/api/v1/health/live", "/api/v1/health/ready"];

/// A name and, where it was said, a port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    host: Host<String>,
    port: Option<u16>,
}

pub struct Hosts {
    /// `web.public_url`, with its port.
    public: Name,
    secure: bool,
    others: Vec<Name>,
}

impl Hosts {
    /// The settings were checked when they were read.
    pub fn new(web: &Web, public_url: &str) -> Hosts {
        let url = Url::parse(public_url).ok();
        let public =
            url.as_ref().and_then(|url| Some(Name { host: url.host()?.to_owned(), port: url.port_or_known_default() }));
        Hosts {
            public: public.unwrap_or(Name { host: Host::Domain("localhost".to_owned()), port: None }),
            secure: public_url.starts_with("https://"),
            others: web.other_hosts.iter().filter_map(|name| named(name)).collect(),
        }
    }

    /// The port does not count: some proxies pass it on, some leave it out, some pass on their own.
    fn knows(&self, host: &Host<String>) -> bool {
        *host == self.public.host
            || self.others.iter().any(|other| other.host == *host)
            || self.both_of_this_machine(host)
    }

    /// Whether a request asks for a name of ours.
    ///
    /// # Errors
    /// The words for whoever asked.
    pub(super) fn check(&self, request: &Request) -> Result<(), String> {
        let asked = asked(request);
        let stranger = asked.iter().find(|text| !named(text).is_some_and(|name| self.knows(&name.host)));
        let words = match (asked.len(), stranger) {
            (0, _) => "This request does not say which host it asks for: the header Host is missing.".to_owned(),
            // With HTTP/2 the name may stand in the address and in a header.
            (1 | 2, None) => return Ok(()),
            (_, None) => "This request names several hosts.".to_owned(),
            (_, Some(stranger)) => format!(
                "This request asks for the host {}, which is not a name of this server. If it is, name it in web.public_url or \
                 web.other_hosts.",
                stranger.chars().take(100).collect::<String>()
            ),
        };
        if OPEN.contains(&request.uri().path()) && request.method().is_safe() { Ok(()) } else { Err(words) }
    }

    /// Whether an `Origin` is a page of ours: of `web.public_url`, also behind a proxy that leaves the port out, or of the
    /// host and port that are asked for.
    pub(super) fn is_own(&self, origin: &str, request: &Request) -> bool {
        let Ok(url) = Url::parse(origin) else { return false };
        // Where we are reached by TLS only, nothing of ours comes without. An origin has no user.
        let good = url.scheme() == "https" || url.scheme() == "http" && !self.secure;
        if !good || !url.username().is_empty() || url.password().is_some() {
            return false;
        }
        let (Some(host), default) = (url.host().map(|host| host.to_owned()), url.port_or_known_default()) else {
            return false;
        };
        let from = Name { host, port: default };
        if from.port == self.public.port && (from.host == self.public.host || self.both_of_this_machine(&from.host)) {
            return true;
        }
        if self.others.iter().any(|other| other.port.is_some() && *other == from) {
            return true;
        }
        let default = if url.scheme() == "https" { 443 } else { 80 };
        asked(request).into_iter().filter_map(named).any(|name| {
            // A proxy that ends TLS may pass on the port that it has itself.
            let port = name.port.filter(|port| ![80, 443].contains(port)).unwrap_or(default);
            self.knows(&name.host) && name.host == from.host && Some(port) == from.port
        })
    }

    fn both_of_this_machine(&self, host: &Host<String>) -> bool {
        is_of_this_machine(&self.public.host) && is_of_this_machine(host)
    }
}

/// The hosts that a request asks for: in its address (HTTP/2, or asked through a proxy), and in headers.
fn asked(request: &Request) -> Vec<&str> {
    let address = request.uri().authority().map(|authority| authority.as_str());
    // What is no text is nobody's name.
    let headers = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    address.into_iter().chain(headers).collect()
}

fn named(text: &str) -> Option<Name> {
    let authority: Authority = text.parse().ok()?;
    let port = match authority.as_str().strip_prefix(authority.host())? {
        "" => None,
        rest => Some(rest.strip_prefix(':')?.parse().ok()?),
    };
    Some(Name { host: Host::parse(authority.host()).ok()?, port })
}

fn is_of_this_machine(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        // Where we listen on every address, this machine's own is one of them.
        Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
        Host::Ipv6(address) => address.is_loopback() || address.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn hosts(public_url: &str, others: &[&str]) -> Hosts {
        let other_hosts = others.iter().map(|&name| name.to_owned()).collect();
        Hosts::new(&Web { other_hosts, ..Web::default() }, public_url)
    }

    fn request(path: &str, host: &str) -> Request {
        Request::get(path).header(header::HOST, host).body(Body::empty()).expect("a request")
    }

    #[test]
    fn only_names_of_ours_are_answered() {
        let company = hosts("https://data.example.com", &["intranet", "10.1.2.3:8080"]);
        let known = |hosts: &Hosts, host: &str| {
            let first = hosts.check(&request("/", host)).is_ok();
            // As HTTP/2 has it.
            if let Ok(second) = Request::get(format!("https://{host}/")).body(Body::empty()) {
                assert_eq!(hosts.check(&second).is_ok(), first, "{host}");
            }
            first
        };
        for host in [
            "data.example.com",
            "Data.Example.COM",
            "data.example.com:443",
            "data.example.com:3000",
            "intranet",
            "10.1.2.3",
        ] {
            assert!(known(&company, host), "{host}");
        }
        for host in [
            "evil.example",
            "data.example.com.evil.example",
            "xdata.example.com",
            "localhost",
            "127.0.0.1:3000",
            "user@data.example.com",
            "data.example.com:x",
            "data.example.com@evil.example",
            "10.1.2.4",
        ] {
            assert!(!known(&company, host), "{host}");
        }
        let local = hosts("http://127.0.0.1:3000", &[]);
        for host in ["127.0.0.1:3000", "localhost:3000", "localhost", "[::1]:3000", "LOCALHOST", "127.0.0.2"] {
            assert!(known(&local, host), "{host}");
        }
        assert!(!known(&local, "evil.example:3000") && !known(&local, "localhost.evil.example"));
        for port in ["", "x"] {
            let none = Request::get("/").header(header::HOST, port).body(Body::empty()).expect("a request");
            assert!(company.check(&none).is_err());
        }
        let none = Request::get("/").body(Body::empty()).expect("a request");
        assert!(company.check(&none).is_err_and(|words| words.contains("Host is missing")));
        let words = company.check(&request("/", "evil.example:81")).expect_err("a stranger");
        assert!(words.contains("evil.example:81") && words.contains("web.other_hosts"), "{words}");
        let two = Request::get("https://data.example.com/").header(header::HOST, "evil.example");
        assert!(company.check(&two.body(Body::empty()).expect("a request")).is_err());
        assert!(company.check(&request("/api/v1/health/live", "10.9.9.9")).is_ok(), "a probe");
        assert!(company.check(&request("/metrics", "10.9.9.9")).is_err());
    }

    #[test]
    fn only_pages_of_ours_change_something() {
        let own = |hosts: &Hosts, origin: &str, host: &str| hosts.is_own(origin, &request("/", host));
        let local = hosts("http://127.0.0.1:3000", &[]);
        assert!(own(&local, "http://127.0.0.1:3000", "127.0.0.1:3000"));
        assert!(own(&local, "http://localhost:3000", "localhost:3000"));
        assert!(own(&local, "http://[::1]:3000", "[::1]:3000"));
        assert!(own(&local, "http://localhost:8080", "localhost:8080"), "a tunnel");
        assert!(!own(&local, "http://localhost:3001", "localhost:3000"));
        assert!(!own(&local, "http://evil.example:3000", "evil.example:3000"), "not even under its own name");
        assert!(!own(&local, "null", "localhost:3000"));

        let company = hosts("https://data.example.com:8443", &["intranet:8080"]);
        for host in ["data.example.com", "data.example.com:8443", "data.example.com:3000", "intranet"] {
            assert!(own(&company, "https://data.example.com:8443", host), "{host}");
        }
        assert!(own(&company, "https://intranet:8080", "intranet"));
        assert!(!own(&company, "http://data.example.com:8443", "data.example.com:8443"), "TLS only");
        assert!(!own(&company, "https://data.example.com:9000", "data.example.com:8443"));
        assert!(!own(&company, "https://user@data.example.com:8443", "data.example.com:8443"));
        let plain = hosts("https://example.org", &[]);
        assert!(
            own(&plain, "https://example.org", "Example.org") && own(&plain, "https://example.org", "example.org:443")
        );
        assert!(!own(&plain, "https://example.org.evil.org", "example.org"));
        let behind_tls = hosts("http://example.org", &[]);
        assert!(own(&behind_tls, "https://example.org", "example.org:80"), "a proxy that ends TLS");
    }
}
