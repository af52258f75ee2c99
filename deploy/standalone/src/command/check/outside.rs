//! Checks the advertised address, which apps must reach, and the SMS gateway and payment providers, which this program must
//! reach.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use api_server::{PaymentProvider, SmsProvider, Unnamed};
use database::Database;
use tokio::{
    net::{TcpListener, TcpStream, lookup_host},
    time::timeout,
};

use super::{Finding, ports::Running};
use crate::settings::Settings;

/// The longest wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const PAYMENT: &str = "payment";

/// Checks the address of this node that apps get.
pub(super) async fn advertised(settings: &Settings, running: Option<&Running>) -> Finding {
    const ABOUT: &str = "advertised";
    const MEND: &str = "huizhen serve --advertise HOST[:PORT], as apps reach this machine";
    let place = match im_server::advertised(&settings.im).await {
        Ok(place) => place,
        Err(error) => return Finding::fail(ABOUT, format!("{error:#}"), MEND),
    };
    let name = place.domain.unwrap_or_else(|| place.ip.to_string());
    let shown = format!("{name}:{}", place.port);
    if place.ip.is_unspecified() {
        return Finding::fail(
            ABOUT,
            format!("apps get {shown} as the address of this node, and nothing can connect to it"),
            MEND,
        );
    }
    if place.ip.is_loopback() {
        let text = format!(
            "apps get {shown} as the address of this node: only apps on this machine can connect to it"
        );
        return match settings.common.redis_url {
            Some(_) => Finding::warn(ABOUT, text, MEND),
            None => Finding::ok(ABOUT, text),
        };
    }
    let whose = if is_ours(place.ip).await {
        "an address of this machine"
    } else {
        "not an address of this machine, so that of a balancer or a gateway"
    };
    if !running.is_some_and(Running::is_own) || place.port == 0 {
        return Finding::ok(ABOUT, format!("apps get {shown}, {whose}"));
    }
    match connect((place.ip, place.port).into()).await {
        Ok(()) => Finding::ok(
            ABOUT,
            format!("apps get {shown}, {whose}; it accepts connections"),
        ),
        Err(why) => Finding::warn(
            ABOUT,
            format!("apps get {shown}, {whose}; this machine cannot reach it: {why}"),
            "check the firewall and the balancer, or correct --advertise",
        ),
    }
}

async fn is_ours(ip: IpAddr) -> bool {
    TcpListener::bind((ip, 0)).await.is_ok()
}

async fn connect(address: SocketAddr) -> Result<(), String> {
    match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", CONNECT_LIMIT.as_secs())),
    }
}

/// Checks the way of SMS codes, without sending one.
pub(super) async fn sms(settings: &Settings) -> Finding {
    const ABOUT: &str = "sms";
    let url = match (settings.api.sms_provider, &settings.api.sms_webhook_url) {
        (SmsProvider::Webhook, Some(url)) => url,
        (provider, _) => return to_the_log(settings, provider),
    };
    // The path may contain a secret of the gateway.
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let found = match timeout(CONNECT_LIMIT, lookup_host((host.trim_matches(['[', ']']), port))).await {
        Ok(Ok(mut found)) => found.next().ok_or_else(|| "the name has no address".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the name server does not answer".to_owned()),
    };
    let reached = match found {
        Ok(address) => connect(address).await,
        Err(why) => Err(why),
    };
    match reached {
        Ok(()) => Finding::ok(
            ABOUT,
            format!("codes go to {host}:{port}, which accepts; none was sent"),
        ),
        Err(why) => Finding::fail(
            ABOUT,
            format!("codes go to {host}:{port}, which cannot be reached: {why}"),
            "mend --sms-webhook-url, or the way there; without it nobody can log in by a code",
        ),
    }
}

fn to_the_log(settings: &Settings, provider: SmsProvider) -> Finding {
    const ABOUT: &str = "sms";
    let text =
        format!("the provider is {provider:?}: codes and phone numbers go to the log, for development");
    let listens_here = settings.api.rest_addr.parse::<SocketAddr>().map_or_else(
        |_| settings.api.rest_addr.starts_with("localhost:"),
        |address| address.ip().is_loopback(),
    );
    if listens_here && settings.common.redis_url.is_none() {
        return Finding::ok(ABOUT, text);
    }
    Finding::warn(
        ABOUT,
        text,
        "huizhen serve --sms-provider webhook --sms-webhook-url URL",
    )
}

/// Checks keys and way of the payment providers, by a signed question about an order that does not exist, and that no money
/// waits for another provider.
pub(super) async fn payment(settings: &Settings) -> Vec<Finding> {
    let mut findings = probed(settings).await;
    findings.extend(unnamed(settings).await.iter().map(waits));
    findings
}

/// A database that does not open, or is of an earlier schema, has a line of its own.
async fn unnamed(settings: &Settings) -> Vec<Unnamed> {
    if settings.database_file().is_some_and(|file| !file.exists()) {
        return Vec::new();
    }
    let Ok(database) = Database::look(&settings.database_url()).await else {
        return Vec::new();
    };
    let named = &settings.api.payment_providers;
    let found = api_server::unnamed_providers(&database, named).await;
    database.close().await;
    found.unwrap_or_default()
}

fn waits(unnamed: &Unnamed) -> Finding {
    let Unnamed {
        provider,
        orders,
        pay_backs,
    } = unnamed;
    Finding::fail(
        PAYMENT,
        format!(
            "{orders} open orders and {pay_backs} pay-backs are {provider}'s, which is not named: nothing asks for them"
        ),
        format!("name {provider} in --payment-providers until they have ended"),
    )
}

async fn probed(settings: &Settings) -> Vec<Finding> {
    let probed = api_server::probe_vendors(&settings.api).await;
    probed
        .into_iter()
        .map(|(provider, outcome)| {
            let (name, flag) = match provider {
                PaymentProvider::Mockpay => ("mockpay", "--payment-providers"),
                PaymentProvider::Wechat => ("WeChat Pay", "--wechat-pay-config"),
                PaymentProvider::Alipay => ("Alipay", "--alipay-config"),
            };
            match outcome {
                Ok(()) => Finding::ok(
                    PAYMENT,
                    format!("{name} answers a signed question; no order was made"),
                ),
                Err(error) => Finding::fail(
                    PAYMENT,
                    format!("{name}: {error:#}"),
                    format!(
                        "mend the file of {flag}, its keys, or the way there; members cannot top up by it"
                    ),
                ),
            }
        })
        .collect()
}
