//! Makes the [`App`] of a service from its settings, with the parts of all domains.

use backplane::Backplane;
use database::Database;
use journal::Journal;
use payment::{Driver, Drivers, Mockpay};
use program::address::TrustedProxies;
use tokio_util::sync::CancellationToken;

use crate::{
    account,
    app::{App, Parts, Shared},
    clock::now_ms,
    http::{error::Error, limits::Limits, once::Running},
    im, invitation,
    media::Media,
    operator,
    settings::{self, PaymentProvider, Settings},
    subscribers,
};

pub(crate) async fn app(
    settings: &Settings,
    database: Database,
    journal: Journal,
    backplane: Backplane,
    shutdown: CancellationToken,
) -> anyhow::Result<App> {
    let media = Media::open(settings).await?;
    // Records may name media in the entries that they append.
    let journal = match media.is_on() {
        true => journal.checking_media(),
        false => journal,
    };
    let parts = parts(settings, &database).await?.with(media);
    let providers = providers(settings, &database).await?;
    Ok(App::new(Shared {
        database,
        journal,
        backplane,
        limits: Limits::new(settings),
        running: Running::default(),
        sms_countries: settings.sms_countries.clone(),
        trusted_proxies: TrustedProxies::new(&settings.trusted_proxies),
        charges: !settings.payment_providers.is_empty(),
        providers,
        doctor_verification: settings.doctor_verification,
        public_address: settings.public_address.clone(),
        media_hosts: settings.media_hosts.clone(),
        parts,
        shutdown,
    }))
}

/// The state of each domain.
async fn parts(settings: &Settings, database: &Database) -> anyhow::Result<Parts> {
    let links = invitation::Links::load(database).await;
    let links = links.map_err(|error| unread("signs invitations", &error))?;
    Ok(Parts::default()
        .with(account::Tokens::default())
        .with(account::Budgets::new(settings))
        .with(account::Passwords::default())
        .with(account::Sms::new(settings)?)
        .with(im::Spread::default())
        .with(im::ImPasswordRates::default())
        .with(links)
        .with(operator::Proving::default())
        .with(subscribers::OF_CONSULTS)
        .with(subscribers::OF_INVITATIONS)
        .with(subscribers::OF_MEDIA))
}

async fn providers(settings: &Settings, database: &Database) -> anyhow::Result<Drivers> {
    let vendors = settings::payment::drivers(settings)?;
    if !settings.payment_providers.contains(&PaymentProvider::Mockpay) {
        return Ok(vendors);
    }
    let secret = invitation::load_secret(database, "mockpay").await;
    let secret = secret.map_err(|error| unread("signs mockpay's notices", &error))?;
    let mockpay = Mockpay::new(database.clone(), &secret, now_ms);
    Ok(vendors.with(Driver::Mockpay(mockpay)))
}

fn unread(secret: &str, error: &Error) -> anyhow::Error {
    let inner = error.inner().unwrap_or_default();
    anyhow::anyhow!("the secret that {secret} cannot be read: {inner}")
}
