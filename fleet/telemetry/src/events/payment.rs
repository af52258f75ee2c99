//! Payments by providers.

crate::catalogue! {
    DIFFERENCES: CounterBy(
        "huizhen_payment_differences_total",
        "provider",
        &["mockpay", "wechat", "alipay"],
        "Differences that were found between a provider's bill and our orders and refunds",
    );
    REFUSED: CounterBy(
        "huizhen_payment_refused_total",
        "provider",
        &["mockpay", "wechat", "alipay"],
        "Payments that a provider has and that do not fit their order, so that nothing moved",
    );
    PAY_BACKS_FAILED: CounterBy(
        "huizhen_payment_pay_backs_failed_total",
        "provider",
        &["mockpay", "wechat", "alipay"],
        "Balance that its provider refused to pay back for good; the wallet has it again",
    );
    UNNAMED: CounterBy(
        "huizhen_payment_providers_unnamed_total",
        "provider",
        &["mockpay", "wechat", "alipay"],
        "Starts that found open orders or asked pay-backs of a provider that --payment-providers does not name",
    );
}

const TARGET: &str = "api_server";

/// Reports of payments.
#[expect(missing_docs, reason = "fields are named as in the log line")]
pub enum Event<'a> {
    /// A bill differs from our orders and refunds.
    BillDiffers {
        provider: &'static str,
        day: i64,
        found: usize,
    },
    /// A payment does not fit its order.
    PaymentRefused {
        provider: &'static str,
        order: i64,
        reason: &'a str,
    },
    /// A provider refused to pay back.
    PayBackFailed { provider: &'static str, refund: i64 },
    /// Open orders and asked pay-backs are of a provider that the settings do not name.
    ProviderUnnamed {
        provider: &'static str,
        orders: i64,
        pay_backs: i64,
    },
}

impl Event<'_> {
    /// Counts it and writes its line.
    pub fn emit(self) {
        match self {
            Self::BillDiffers { provider, day, found } => {
                DIFFERENCES.add(provider, u64::try_from(found).unwrap_or(u64::MAX));
                tracing::warn!(target: TARGET, provider, day, found, "a provider's bill differs from our orders");
            }
            Self::PaymentRefused {
                provider,
                order,
                reason,
            } => {
                REFUSED.increment(provider);
                tracing::error!(target: TARGET, provider, order, reason, "a payment does not fit its order: nothing moved");
            }
            Self::PayBackFailed { provider, refund } => {
                PAY_BACKS_FAILED.increment(provider);
                tracing::warn!(target: TARGET, provider, refund, "a provider refused to pay back: the wallet has the amount again");
            }
            Self::ProviderUnnamed {
                provider,
                orders,
                pay_backs,
            } => {
                UNNAMED.increment(provider);
                tracing::error!(
                    target: TARGET,
                    provider,
                    orders,
                    pay_backs,
                    "nothing asks for orders and pay-backs of a provider that --payment-providers does not name"
                );
            }
        }
    }
}
