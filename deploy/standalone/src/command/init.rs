//! `huizhen init`: makes the files of a first start, and never overwrites one.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::CommandFactory;

use super::Cli;
use crate::access::{make_private_folder, write_private};

pub(super) const EXAMPLES: &str = "\
Examples:
  huizhen init
  huizhen init --data data --host localhost --host 127.0.0.1";

/// The validity of a development certificate, days.
const CERTIFICATE_DAYS: i64 = 365;

/// The folder, and the names of the certificate.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// A name or address that the development certificate is for; may be given several times
    #[arg(long, value_name = "NAME", default_values = ["localhost", "127.0.0.1", "::1"])]
    host: Vec<String>,
    /// Make a new development certificate, also when there is one
    #[arg(long)]
    renew_certificate: bool,
}

/// Makes folder, settings and certificate; prints for each whether it was made or kept.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    make_private_folder(&arguments.data)?;
    let data = std::fs::canonicalize(&arguments.data)
        .with_context(|| format!("{}: no such folder", arguments.data.display()))?;
    program::say!("data folder   {}", data.display());

    let tls = data.join("tls");
    make_private_folder(&tls)?;
    let (certificate, key) = (tls.join("certificate.pem"), tls.join("key.pem"));
    if arguments.renew_certificate || !certificate.exists() || !key.exists() {
        make_certificate(&arguments.host, &certificate, &key)?;
        program::say!(
            "certificate   {} (made, for development: {} days, {})",
            certificate.display(),
            CERTIFICATE_DAYS,
            arguments.host.join(", ")
        );
    } else {
        program::say!(
            "certificate   {} (kept; --renew-certificate makes another)",
            certificate.display()
        );
    }

    let settings = data.join("huizhen.toml");
    if settings.exists() {
        program::say!("settings      {} (kept)", settings.display());
    } else {
        write_private(&settings, &settings_text(&data, &certificate, &key)?)?;
        program::say!("settings      {} (made)", settings.display());
    }

    let settings = settings.display();
    program::say!("\nnext:\n  huizhen check --config {settings}\n  huizhen serve --config {settings}");
    Ok(ExitCode::SUCCESS)
}

fn settings_text(data: &Path, certificate: &Path, key: &Path) -> anyhow::Result<String> {
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve").context("serve is a subcommand")?;
    let text = |path: &Path| -> anyhow::Result<String> {
        Ok(path
            .to_str()
            .with_context(|| format!("{} is not UTF-8", path.display()))?
            .to_owned())
    };
    let (data, certificate, key) = (text(data)?, text(certificate)?, text(key)?);
    let set = [
        ("data", data.as_str()),
        ("tls_cert", certificate.as_str()),
        ("tls_key", key.as_str()),
    ];
    Ok(format!(
        "# Settings of Huizhen. Each key is a flag of `huizhen serve` with _ for -, and an environment variable:\n\
         # im_addr is --im-addr and HUIZHEN_IM_ADDR. Flags win over the environment, the environment over this file.\n\
         # What is commented out is at its default. `huizhen serve --print-config` shows what is in force.\n\n{}",
        program::settings::template(serve, &set).trim_end()
    ))
}

fn make_certificate(hosts: &[String], certificate: &Path, key: &Path) -> anyhow::Result<()> {
    let mut params = rcgen::CertificateParams::new(hosts.to_vec())
        .context("--host must be a DNS name or an IP address")?;
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Huizhen development");
    let now = jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date();
    let day = |date: jiff::civil::Date| {
        rcgen::date_time_ymd(
            i32::from(date.year()),
            u8::try_from(date.month()).unwrap_or(1),
            u8::try_from(date.day()).unwrap_or(1),
        )
    };
    // Valid from yesterday, for clocks that are slightly behind.
    params.not_before = day(now.yesterday().context("the clock is out of range")?);
    params.not_after = day(now
        .checked_add(jiff::Span::new().days(CERTIFICATE_DAYS))
        .context("the clock is out of range")?);
    let pair = rcgen::KeyPair::generate().context("a key cannot be made")?;
    let made = params
        .self_signed(&pair)
        .context("a certificate cannot be made")?;
    write_private(key, pair.serialize_pem().trim_end())?;
    write_private(certificate, made.pem().trim_end())
}
