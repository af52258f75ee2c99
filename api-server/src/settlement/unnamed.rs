//! Open orders and asked pay-backs of providers that the settings do not name: no job asks for them.

use database::Database;
use telemetry::events::payment::Event;

use super::{NAMES, table::asked};
use crate::settings::PaymentProvider;

/// Orders and pay-backs that wait for a provider that the settings do not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unnamed {
    /// The provider's word.
    pub provider: &'static str,
    /// Open orders.
    pub orders: i64,
    /// Asked pay-backs.
    pub pay_backs: i64,
}

/// The orders and pay-backs that wait for providers other than the `named`.
///
/// # Errors
/// The database's.
pub async fn unnamed_providers(
    database: &Database,
    named: &[PaymentProvider],
) -> Result<Vec<Unnamed>, database::Error> {
    let mut found = Vec::new();
    for (provider, _) in NAMES {
        if named.iter().any(|named| named.outside() == provider) {
            continue;
        }
        let (orders, pay_backs) = asked::waiting(database, provider).await?;
        if orders + pay_backs > 0 {
            found.push(Unnamed {
                provider: provider.as_str(),
                orders,
                pay_backs,
            });
        }
    }
    Ok(found)
}

/// Reports them, at a start.
///
/// # Errors
/// The database's.
pub(crate) async fn report(database: &Database, named: &[PaymentProvider]) -> Result<(), database::Error> {
    for unnamed in unnamed_providers(database, named).await? {
        let Unnamed {
            provider,
            orders,
            pay_backs,
        } = unnamed;
        Event::ProviderUnnamed {
            provider,
            orders,
            pay_backs,
        }
        .emit();
    }
    Ok(())
}
