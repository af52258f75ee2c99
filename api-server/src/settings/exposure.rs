//! Warns of REST without TLS, and of codes in the log, on public addresses: at the start and in `huizhen check`.

use std::net::IpAddr;

use program::{address::Reach, output::Advice};

use crate::{DoctorVerification, PaymentProvider, RestPort, Settings, SmsProvider};

/// Warns of access tokens and records in clear and of codes in the log, where the listener is reachable from outside.
/// `listening` is the address of `--rest-addr`.
pub fn examine(settings: &Settings, listening: IpAddr) -> Vec<Advice> {
    let reach = Reach::of(listening).warning();
    let is_proxied =
        !settings.trusted_proxies.is_empty() || settings.rest_proxy_protocol_ports.contains(&RestPort::Rest);
    let mut found = Vec::new();
    if let (Some(reach), false) = (reach, is_proxied) {
        found.push(Advice::warning(
            format!(
                "access tokens and records of REST travel without TLS: --rest-addr {} is {reach}",
                settings.rest_addr
            ),
            "let --rest-addr be a loopback address and set --rest-tls-addr with a certificate, or put a proxy with TLS in \
             front and name it in --trusted-proxies",
        ));
    }
    let is_reached = reach.is_some() || is_proxied || settings.rest_tls_addr.is_some();
    if settings.sms_provider == SmsProvider::Log && is_reached {
        found.push(Advice::warning(
            "--sms-provider log writes phones and SMS codes to the log, where whoever reads it can log in as anybody, and \
             sends none to the phones; it is for development on one machine",
            "--sms-provider webhook --sms-webhook-url https://… (your SMS gateway)",
        ));
    }
    if settings.payment_providers.contains(&PaymentProvider::Mockpay) && is_reached {
        found.push(Advice::failure(
            "--payment-providers mockpay lets every visitor of its page pay orders without money; it is for development on one \
             machine",
            "--payment-providers wechat,alipay",
        ));
    }
    if settings.doctor_verification == DoctorVerification::None {
        found.push(Advice::warning(
            "--doctor-verification none lets everybody who registers as a doctor treat patients; it is for a closed deployment \
             whose accounts come from elsewhere",
            "--doctor-verification operator",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use program::output::Severity;

    use super::*;

    fn told(settings: &Settings, address: &str) -> (bool, bool) {
        let found = examine(settings, address.parse().unwrap());
        let has = |text: &str| found.iter().any(|advice| advice.text.contains(text));
        (has("travel without TLS"), has("--sms-provider log"))
    }

    #[test]
    fn plain_rest_and_codes_in_the_log_are_told_where_strangers_come() {
        let webhook = Settings {
            sms_provider: SmsProvider::Webhook,
            ..Settings::default()
        };
        let proxied = |settings: &Settings| Settings {
            trusted_proxies: vec!["10.0.0.1".parse().unwrap()],
            ..settings.clone()
        };
        for inside in ["127.0.0.1", "::1", "10.0.0.7", "192.168.3.1", "fd00::1"] {
            assert_eq!(told(&Settings::default(), inside), (false, false), "{inside}");
        }
        for public in [
            "0.0.0.0",
            "::",
            "203.0.113.7",
            "2001:db8::1",
            "::ffff:203.0.113.7",
        ] {
            assert_eq!(told(&Settings::default(), public), (true, true), "{public}");
            assert_eq!(told(&webhook, public), (true, false), "{public}");
            assert_eq!(told(&proxied(&webhook), public), (false, false), "{public}");
            assert_eq!(
                told(&proxied(&Settings::default()), public),
                (false, true),
                "{public}"
            );
        }
        let tls = Settings {
            rest_tls_addr: Some("0.0.0.0:8443".into()),
            ..Settings::default()
        };
        assert_eq!(told(&tls, "127.0.0.1"), (false, true));
        let balanced = Settings {
            rest_proxy_protocol_ports: vec![RestPort::Rest],
            ..webhook
        };
        assert_eq!(told(&balanced, "203.0.113.7"), (false, false));
    }

    #[test]
    fn doctors_whom_nobody_verifies_are_warned_of_on_each_address() {
        for address in ["127.0.0.1", "203.0.113.7"] {
            let found = |doctor_verification| {
                let settings = Settings {
                    sms_provider: SmsProvider::Webhook,
                    trusted_proxies: vec!["10.0.0.1".parse().unwrap()],
                    doctor_verification,
                    ..Settings::default()
                };
                examine(&settings, address.parse().unwrap())
            };
            assert!(found(DoctorVerification::Operator).is_empty());
            let [advice] = &found(DoctorVerification::None)[..] else {
                panic!("one finding for {address}");
            };
            assert!(
                advice.severity == Severity::Warning && advice.text.contains("--doctor-verification none")
            );
        }
    }

    #[test]
    fn mockpay_fails_the_check_where_strangers_come_and_vendors_do_not() {
        let with = |provider| Settings {
            sms_provider: SmsProvider::Webhook,
            payment_providers: vec![provider],
            trusted_proxies: vec!["10.0.0.1".parse().unwrap()],
            ..Settings::default()
        };
        let found = |provider, address: &str| examine(&with(provider), address.parse().unwrap());
        let local = Settings {
            trusted_proxies: Vec::new(),
            ..with(PaymentProvider::Mockpay)
        };
        assert!(examine(&local, "127.0.0.1".parse().unwrap()).is_empty());
        for reached in ["127.0.0.1", "203.0.113.7"] {
            let [advice] = &found(PaymentProvider::Mockpay, reached)[..] else {
                panic!("one finding for {reached}");
            };
            assert!(advice.severity == Severity::Failure && advice.text.contains("mockpay"));
            assert!(found(PaymentProvider::Wechat, reached).is_empty());
        }
    }
}
