//! The vendors among the payment providers that the settings name.

use std::path::{Path, PathBuf};

use anyhow::Context;
use payment::{
    Driver, Drivers,
    alipay::{self, Alipay},
    wechat::{self, Wechat},
};

use super::{PaymentProvider, Settings};
use crate::clock;

/// The vendors of `--payment-providers`, ready to be asked. Mockpay needs more than settings.
///
/// # Errors
/// When a file of settings or keys is missing, open to others, or wrong.
pub fn drivers(settings: &Settings) -> anyhow::Result<Drivers> {
    let vendors = settings.payment_providers.iter();
    let drivers = vendors.filter_map(|provider| vendor(settings, *provider));
    Ok(Drivers::new(drivers.collect::<Result<_, _>>()?))
}

/// Tries each vendor by a question that changes nothing.
pub async fn probe_vendors(settings: &Settings) -> Vec<(PaymentProvider, anyhow::Result<()>)> {
    let mut found = Vec::new();
    for provider in &settings.payment_providers {
        match vendor(settings, *provider) {
            None => {}
            Some(Err(error)) => found.push((*provider, Err(error))),
            Some(Ok(driver)) => found.push((*provider, probe(&driver).await)),
        }
    }
    found
}

async fn probe(driver: &Driver) -> anyhow::Result<()> {
    driver.in_force()?;
    Ok(driver.probe().await?)
}

/// `None` for mockpay.
fn vendor(settings: &Settings, provider: PaymentProvider) -> Option<anyhow::Result<Driver>> {
    match provider {
        PaymentProvider::Mockpay => None,
        PaymentProvider::Wechat => Some(wechat(settings).map(|wechat| Driver::Wechat(Box::new(wechat)))),
        PaymentProvider::Alipay => Some(alipay(settings).map(|alipay| Driver::Alipay(Box::new(alipay)))),
    }
}

/// Vendors refuse requests of another time: they get the machine's, whatever `demo --now` says.
fn wechat(settings: &Settings) -> anyhow::Result<Wechat> {
    let file = file(
        settings.wechat_pay_config.as_ref(),
        "wechat",
        "--wechat-pay-config",
    )?;
    let read = wechat::Settings::read(file).context("--wechat-pay-config")?;
    Wechat::new(&read, clock::machine_ms).context("--wechat-pay-config")
}

fn alipay(settings: &Settings) -> anyhow::Result<Alipay> {
    let file = file(settings.alipay_config.as_ref(), "alipay", "--alipay-config")?;
    let read = alipay::Settings::read(file).context("--alipay-config")?;
    Alipay::new(&read, clock::machine_ms).context("--alipay-config")
}

fn file<'s>(file: Option<&'s PathBuf>, provider: &str, flag: &str) -> anyhow::Result<&'s Path> {
    let file = file.map(PathBuf::as_path);
    file.with_context(|| format!("--payment-providers {provider} needs {flag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_needs_its_file() {
        for (provider, flag) in [
            (PaymentProvider::Wechat, "--wechat-pay-config"),
            (PaymentProvider::Alipay, "--alipay-config"),
        ] {
            let mut settings = Settings {
                payment_providers: vec![PaymentProvider::Mockpay, provider],
                ..Settings::default()
            };
            let error = drivers(&settings).unwrap_err();
            assert!(format!("{error:#}").ends_with(flag), "{error:#}");
            settings.wechat_pay_config = Some("/nowhere/wechat.toml".into());
            settings.alipay_config = Some("/nowhere/alipay.toml".into());
            let error = format!("{:#}", drivers(&settings).unwrap_err());
            assert!(
                error.contains(flag) && error.contains("cannot be read"),
                "{error}"
            );
        }
        let mockpay = Settings {
            payment_providers: vec![PaymentProvider::Mockpay],
            ..Settings::default()
        };
        assert_eq!(drivers(&mockpay).unwrap().iter().count(), 0);
    }
}
