//! Exposure of a node to strangers, for the warnings at the start and `huizhen check`.

use std::net::IpAddr;

use program::{address::Reach, output::Advice};

use super::{Door, Settings, advertise};

/// The hosts that apps connect to, which the certificate must cover. Empty where the node advertises its listening
/// address.
pub fn hosts(settings: &Settings) -> Vec<String> {
    let host = settings.advertise.as_deref().and_then(advertise::host);
    host.into_iter().collect()
}

/// Warns where passwords and messages cross a public network in clear text.
pub fn examine(settings: &Settings, listening: IpAddr) -> Option<Advice> {
    if settings.tls_cert.is_some() || settings.demands_header(Door::Tcp) {
        return None;
    }
    let reach = Reach::of(listening).warning()?;
    Some(Advice::warning(
        format!(
            "passwords and messages of apps travel without TLS: --im-addr {} is {reach}, and there is no certificate",
            settings.im_addr
        ),
        "set --tls-cert and --tls-key, or put a balancer with TLS in front (--proxy-protocol-ports im)",
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        settings: Settings,
    }

    fn settings(flags: &[&str]) -> Settings {
        Flags::parse_from(["x"].iter().chain(flags)).settings
    }

    #[test]
    fn a_public_node_without_tls_is_reported() {
        let advice = |flags: &[&str], address: &str| {
            examine(&settings(flags), address.parse().unwrap()).map(|advice| advice.text)
        };
        assert!(advice(&[], "203.0.113.7").unwrap().contains("a public address"));
        assert!(advice(&[], "0.0.0.0").unwrap().contains("all addresses"));
        for inside in ["127.0.0.1", "10.0.0.1", "::1"] {
            assert_eq!(advice(&[], inside), None, "{inside}");
        }
        for flags in [
            &["--tls-cert", "c", "--tls-key", "k"][..],
            &["--proxy-protocol"],
            &["--proxy-protocol-ports", "im,ws"],
        ] {
            assert_eq!(advice(flags, "203.0.113.7"), None, "{flags:?}");
        }
    }

    #[test]
    fn apps_connect_to_what_is_advertised() {
        let hosts = |text: &str| hosts(&settings(&["--advertise", text]));
        assert_eq!(hosts("IM1.example.com:9501"), ["im1.example.com"]);
        assert_eq!(hosts("192.0.2.7"), ["192.0.2.7"]);
        assert_eq!(hosts("[2001:db8::1]:1"), ["2001:db8::1"]);
        assert_eq!(super::hosts(&settings(&[])), Vec::<String>::new());
    }
}
