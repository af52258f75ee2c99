//! The address that `/im/servers` hands out for this node: `--advertise` and `--advertise-wss`.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use backplane::NodeAddress;
use telemetry::events::im::Event;
use tokio::{net::lookup_host, time::timeout};

use super::Settings;

/// Longest DNS lookup.
const NAME_LIMIT: Duration = Duration::from_secs(3);
const WSS_EXAMPLES: &str = "wss://im1.example.com or wss://im.example.com:8443/im-1";
const EXAMPLES: &str = "192.168.3.1, 192.168.3.1:9501, im1.example.com or im1.example.com:9501";

/// Where apps connect to the framed TCP listener of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// IPv4 or IPv6.
    pub ip: IpAddr,
    /// 0 stands for any free port.
    pub port: u16,
    // protocol: "Some fleets also name a domain"
    /// The domain name, if there is one; `ip` is one of its addresses.
    pub domain: Option<String>,
}

/// The address that a node with these settings advertises.
///
/// # Errors
/// When the DNS lookup of an address fails.
pub async fn advertised(settings: &Settings) -> anyhow::Result<Advertised> {
    let listening = lookup_host(&settings.im_addr)
        .await
        .with_context(|| format!("--im-addr {}", settings.im_addr))?
        .next()
        .with_context(|| format!("--im-addr {}: no such host", settings.im_addr))?;
    place(settings, listening).await
}

/// Resolves a domain name: apps receive the name and an IP.
async fn place(settings: &Settings, listening: SocketAddr) -> anyhow::Result<Advertised> {
    let (host, port) = match &settings.advertise {
        None => (Host::Ip(listening.ip()), listening.port()),
        Some(text) => {
            let (host, port) = host_and_port(text).with_context(|| format!("--advertise {text}"))?;
            (host, port.unwrap_or(listening.port()))
        }
    };
    let (ip, domain) = match host {
        Host::Ip(ip) => (ip, None),
        Host::Domain(name) => {
            let ip = resolve(&name, None)
                .await
                .with_context(|| format!("--advertise {name}: apps are given its IP too"))?;
            (ip, Some(name))
        }
    };
    Ok(Advertised { ip, port, domain })
}

/// The addresses of a node for the directory.
pub(crate) async fn address(
    settings: &Settings,
    tcp: SocketAddr,
    tls_port: Option<u16>,
    ws_port: Option<u16>,
) -> anyhow::Result<NodeAddress> {
    let Advertised { ip, port, domain } = place(settings, tcp).await?;
    if ip.is_unspecified() {
        Event::AdvertisedUnreachable { ip }.emit();
    }
    Ok(NodeAddress {
        ip: ip.to_string(),
        port,
        tls_port,
        ws_port,
        domain,
        wss: settings.advertise_wss.clone(),
    })
}

/// Validates `--advertise` without a DNS lookup.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    match host_and_port(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error:#}; expected as in {EXAMPLES}")),
    }
}

/// Validates `--advertise-wss`.
pub(crate) fn parse_wss(text: &str) -> Result<String, String> {
    match check_wss(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error:#}; expected as in {WSS_EXAMPLES}")),
    }
}

/// Resolves the domain name again; a failed lookup keeps the last address.
pub(crate) async fn renew(address: &mut NodeAddress) {
    let Some(domain) = &address.domain else { return };
    match resolve(domain, address.ip.parse().ok()).await {
        Ok(ip) => address.ip = ip.to_string(),
        Err(error) => Event::LookupFailed {
            error: &error,
            domain,
        }
        .emit(),
    }
}

/// Prefers the address in use, then IPv4 over IPv6.
async fn resolve(name: &str, in_use: Option<IpAddr>) -> anyhow::Result<IpAddr> {
    let found = timeout(NAME_LIMIT, lookup_host((name, 0)))
        .await
        .context("the name server does not answer")?
        .context("the name has no address")?;
    let mut found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    if let Some(in_use) = in_use.filter(|in_use| found.contains(in_use)) {
        return Ok(in_use);
    }
    found.sort_by_key(IpAddr::is_ipv6);
    found.first().copied().context("the name has no address")
}

/// The host of `--advertise`; `None` when it is invalid.
pub(crate) fn host(text: &str) -> Option<String> {
    let (host, _) = host_and_port(text).ok()?;
    Some(match host {
        Host::Ip(ip) => ip.to_string(),
        Host::Domain(name) => name,
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Host {
    Ip(IpAddr),
    Domain(String),
}

fn host_and_port(text: &str) -> anyhow::Result<(Host, Option<u16>)> {
    // An IPv6 address contains colons.
    if let Ok(ip) = text.parse() {
        return Ok((Host::Ip(ip), None));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, rest) = rest.split_once(']').context("the ] is missing")?;
        let ip: Ipv6Addr = ip.parse().with_context(|| format!("{ip} is no IPv6 address"))?;
        let port = match rest.strip_prefix(':') {
            Some(text) => Some(port(text)?),
            None if rest.is_empty() => None,
            None => bail!("after the ] comes :PORT or nothing"),
        };
        return Ok((Host::Ip(ip.into()), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, text)) => (host, Some(port(text)?)),
        None => (text, None),
    };
    if let Ok(ip) = host.parse() {
        return Ok((Host::Ip(ip), port));
    }
    check_domain(host)?;
    Ok((Host::Domain(host.to_ascii_lowercase()), port))
}

fn port(text: &str) -> anyhow::Result<u16> {
    match text.parse() {
        Ok(port) if port > 0 && !text.starts_with('+') => Ok(port),
        _ => bail!("{text} is no port (1 to 65535)"),
    }
}

fn check_domain(name: &str) -> anyhow::Result<()> {
    ensure!(
        name.is_ascii(),
        "a domain name with other than ASCII letters is written in its xn-- form"
    );
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    ensure!(
        name.len() <= 253 && name.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit()),
        "{name:?} is neither an IP address nor a domain name"
    );
    Ok(())
}

/// Accepts `wss://HOST[:PORT][/PATH]` only.
fn check_wss(text: &str) -> anyhow::Result<()> {
    if text.starts_with("ws://") {
        bail!(
            "without TLS it is no wss:// address; a plain WebSocket port is given out as ws_port by itself"
        );
    }
    let rest = text.strip_prefix("wss://").context("it must begin with wss://")?;
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    ensure!(!authority.contains('@'), "it takes no user and no password");
    host_and_port(authority)?;
    ensure!(
        path.bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte)),
        "after the host comes a path, without ?, # and spaces"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    #[test]
    fn an_address_is_an_ip_or_a_name_with_or_without_a_port() {
        let ip = |text: &str| Host::Ip(text.parse().unwrap());
        let domain = |text: &str| Host::Domain(text.into());
        for (text, expected) in [
            ("192.168.3.1", (ip("192.168.3.1"), None)),
            ("192.168.3.1:9501", (ip("192.168.3.1"), Some(9501))),
            ("2001:db8::1", (ip("2001:db8::1"), None)),
            ("[2001:db8::1]", (ip("2001:db8::1"), None)),
            ("[2001:db8::1]:1", (ip("2001:db8::1"), Some(1))),
            ("localhost", (domain("localhost"), None)),
            ("IM1.example.com:65535", (domain("im1.example.com"), Some(65535))),
            ("xn--fiq228c.example:2", (domain("xn--fiq228c.example"), Some(2))),
        ] {
            assert_eq!(host_and_port(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_wrong_address_is_refused() {
        for (text, hint) in [
            ("", "neither"),
            (":9501", "neither"),
            ("im1.example.com:", "no port"),
            ("im1.example.com:0", "no port"),
            ("im1.example.com:65536", "no port"),
            ("im1.example.com:+1", "no port"),
            ("192.168.3.1:9501:1", "no port"),
            ("192.168.3.256", "neither"),
            ("1.2.3", "neither"),
            ("im_1.example.com", "neither"),
            ("-im.example.com", "neither"),
            ("im..example.com", "neither"),
            ("中文.example", "xn--"),
            ("[2001:db8::1", "]"),
            ("[im1.example.com]:1", "IPv6"),
            ("[::1]9501", ":PORT"),
            ("https://im1.example.com", "no port"),
        ] {
            let error = host_and_port(text).unwrap_err();
            assert!(format!("{error:#}").contains(hint), "{text}: {error:#}");
        }
    }

    #[test]
    fn a_wss_address_is_one_that_an_app_can_open() {
        for text in [
            "wss://im1.example.com",
            "wss://im1.example.com/",
            "wss://192.0.2.7:8443/im-1",
            "wss://[2001:db8::1]:8443/a/b",
        ] {
            check_wss(text).unwrap();
        }
        for (text, hint) in [
            ("", "wss://"),
            ("https://im1.example.com", "begin with wss://"),
            ("ws://im1.example.com", "without TLS"),
            ("wss://", "neither"),
            ("wss:///path", "neither"),
            ("wss://im1.example.com:x/", "no port"),
            ("wss://me:secret@im1.example.com", "no user"),
            ("wss://im1.example.com/?token=1", "path"),
            ("wss://im1.example.com#a", "path"),
            ("wss://im1.example.com/a b", "path"),
        ] {
            let error = check_wss(text).unwrap_err();
            assert!(format!("{error:#}").contains(hint), "{text}: {error:#}");
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_and_its_address_kept_while_it_is_one() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(resolve("localhost", None).await.unwrap().is_loopback());
        assert_eq!(resolve("localhost", Some(loopback)).await.unwrap(), loopback);
        let stale = "192.0.2.1".parse().ok();
        assert!(resolve("localhost", stale).await.unwrap().is_loopback());
        let error = resolve("no-such-name.invalid", None).await.unwrap_err();
        assert!(format!("{error:#}").contains("name"), "{error:#}");
    }
}
