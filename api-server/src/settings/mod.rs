//! Settings of the REST service.

mod country;
pub mod exposure;
pub mod media;
mod origin;
pub mod payment;
mod public;

use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, ValueEnum};
use ledger::Outside;
use proto::media::MediaHosts;

use program::address::Network;

pub use self::media::MediaPlace;
pub use country::CountryCode;
pub use origin::Origin;

pub use public::PublicAddress;

/// The flags of the REST service.
#[derive(Args, Clone, Debug)]
// Flattened beside another crate's `Settings`, and clap wants the names of groups unique.
#[group(skip)]
pub struct Settings {
    /// Where REST listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = program::address::parse)]
    pub rest_addr: String,

    /// Where REST listens with TLS of its own, by the certificate of --tls-cert and --tls-key; nowhere by default
    #[arg(long, value_name = "ADDR", value_parser = program::address::parse)]
    pub rest_tls_addr: Option<String>,

    /// Ports of REST whose connections begin with a PROXY protocol header (version 1 or 2) from a load balancer in
    /// front: rest, rest-tls; whose headers count is said by --trusted-proxies
    #[arg(long, value_enum, value_name = "PORT", value_delimiter = ',')]
    pub rest_proxy_protocol_ports: Vec<RestPort>,

    /// REST connections at the most; more are closed at once
    #[arg(long, value_name = "N", default_value = "4096")]
    pub rest_connections: NonZeroU32,

    /// REST connections from one address at the most (of IPv6 from one network of 64 bits) on which nobody is logged
    /// in; the others count by user
    #[arg(long, value_name = "N", default_value = "1024")]
    pub rest_connections_per_address: NonZeroU32,

    /// How SMS codes are sent: `log` writes them to the log (for development), `webhook` posts them to a URL
    #[arg(long, value_enum, default_value_t = SmsProvider::Log)]
    pub sms_provider: SmsProvider,

    /// Where the webhook provider posts {"phone","code"} as JSON
    #[arg(long, value_name = "URL", required_if_eq("sms_provider", "webhook"))]
    pub sms_webhook_url: Option<url::Url>,

    /// Countries whose phones get SMS codes, as the beginnings of their numbers
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', default_value = "+86")]
    pub sms_countries: Vec<CountryCode>,

    /// SMS codes an hour for one address; a sixth of them a minute, five times as many a day
    #[arg(long, value_name = "N", default_value = "60")]
    pub sms_per_hour_address: NonZeroU32,

    /// Wrong passwords and SMS codes of one address within 15 minutes
    #[arg(long, value_name = "N", default_value = "200")]
    pub wrong_logins_address: NonZeroU32,

    /// Requests a second of one user; five times as many at once
    #[arg(long, value_name = "N", default_value = "20")]
    pub requests_per_s_user: NonZeroU32,

    /// Requests a second of one address without a right token; five times as many at once
    #[arg(long, value_name = "N", default_value = "100")]
    pub requests_per_s_address: NonZeroU32,

    /// Proxies whose X-Forwarded-For and PROXY header (--proxy-protocol) are believed, as addresses or networks
    /// (10.0.0.0/8). Without it: no X-Forwarded-For, and PROXY headers of loopback and private addresses
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,

    /// Where browser apps are loaded from that may call (https://app.example.com); none by default
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<Origin>,

    /// Providers that members top up their wallets by. Without one nothing is charged: prices are shown only
    #[arg(long, value_enum, value_name = "PROVIDER", value_delimiter = ',')]
    pub payment_providers: Vec<PaymentProvider>,

    /// The merchant's settings for the provider wechat (TOML, mode 0600), which name the files of its keys
    #[arg(long, value_name = "FILE")]
    pub wechat_pay_config: Option<PathBuf>,

    /// The merchant's settings for the provider alipay (TOML, mode 0600), which name the files of its keys
    #[arg(long, value_name = "FILE")]
    pub alipay_config: Option<PathBuf>,

    /// Who verifies doctors: `operator` approves each one before they treat patients; with `none` everybody who registers
    /// as a doctor counts as one (for a closed deployment whose accounts come from elsewhere)
    #[arg(long, value_enum, default_value_t = DoctorVerification::Operator)]
    pub doctor_verification: DoctorVerification,

    /// Where browsers and WeChat reach REST (https://clinic.example.com): posters and invitations then carry links of it
    #[arg(long, value_name = "URL")]
    pub public_address: Option<PublicAddress>,

    /// Uploads of a user within 24 hours at the most, MiB; a small one counts as 256 KiB
    #[arg(long, value_name = "MIB", default_value = "500")]
    pub media_daily_mib: NonZeroU32,

    /// Where S3 is and by which key, for --media-store s3://… (TOML, mode 0600): endpoint, region, access_key_id,
    /// secret_access_key
    #[arg(long, value_name = "FILE")]
    pub media_config: Option<PathBuf>,

    /// Where the bytes of media lie; set by what puts the programs together
    #[arg(skip)]
    pub media_place: MediaPlace,

    /// Hosts whose uris of media are taken; every program has the flag, so it is set by what puts them together
    #[arg(skip)]
    pub media_hosts: MediaHosts,
}

/// A port of REST whose connections may begin with a PROXY header.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestPort {
    /// `--rest-addr`.
    Rest,
    /// `--rest-tls-addr`.
    RestTls,
}

/// A way to top up.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaymentProvider {
    /// A page of this service that plays a provider, for development.
    Mockpay,
    /// WeChat Pay.
    Wechat,
    /// Alipay.
    Alipay,
}

impl PaymentProvider {
    /// The way of its money.
    pub(crate) const fn outside(self) -> Outside {
        match self {
            Self::Mockpay => Outside::Mockpay,
            Self::Wechat => Outside::Wechat,
            Self::Alipay => Outside::Alipay,
        }
    }
}

/// Who verifies doctors.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoctorVerification {
    /// An operator.
    Operator,
    /// All but suspended doctors count as verified.
    None,
}

/// How SMS codes are sent.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsProvider {
    /// To the log, for development.
    Log,
    /// By a POST to a URL.
    Webhook,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rest_addr: "127.0.0.1:8080".into(),
            rest_tls_addr: None,
            rest_proxy_protocol_ports: Vec::new(),
            rest_connections: NonZeroU32::MIN.saturating_add(4095),
            rest_connections_per_address: NonZeroU32::MIN.saturating_add(1023),
            sms_provider: SmsProvider::Log,
            sms_webhook_url: None,
            sms_countries: vec![CountryCode::default()],
            sms_per_hour_address: NonZeroU32::MIN.saturating_add(59),
            wrong_logins_address: NonZeroU32::MIN.saturating_add(199),
            requests_per_s_user: NonZeroU32::MIN.saturating_add(19),
            requests_per_s_address: NonZeroU32::MIN.saturating_add(99),
            trusted_proxies: Vec::new(),
            cors_origin: Vec::new(),
            payment_providers: Vec::new(),
            wechat_pay_config: None,
            alipay_config: None,
            doctor_verification: DoctorVerification::Operator,
            public_address: None,
            media_daily_mib: NonZeroU32::MIN.saturating_add(499),
            media_config: None,
            media_place: MediaPlace::None,
            media_hosts: MediaHosts::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn the_default_is_what_no_flags_give() {
        let parsed = Program::try_parse_from(["api-server"]).unwrap().settings;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Settings::default()));
    }

    #[test]
    fn flags_out_of_range_are_refused() {
        for bad in [
            &["x", "--requests-per-s-user", "0"][..],
            &["x", "--trusted-proxies", "10.0.0.0/33"],
            &["x", "--sms-provider", "webhook"],
            &["x", "--sms-countries", "China"],
            &["x", "--sms-countries", ""],
            &["x", "--sms-per-hour-address", "0"],
            &["x", "--sms-webhook-url", "not a url"],
            &["x", "--media-daily-mib", "0"],
            &["x", "--rest-connections", "0"],
            &["x", "--rest-connections-per-address", "0"],
            &["x", "--rest-proxy-protocol-ports", "im"],
            &["x", "--doctor-verification", "nobody"],
            &["x", "--public-address", "ftp://example.com"],
            &["x", "--cors-origin", "*"],
            &["x", "--cors-origin", "https://app.example.com,app.example.com"],
        ] {
            assert!(Program::try_parse_from(bad).is_err(), "{bad:?}");
        }
    }
}
