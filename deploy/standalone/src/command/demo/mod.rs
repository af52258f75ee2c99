//! `huizhen demo`: serves on loopback, with accounts and an open consult to try things with.

mod accounts;
mod money;
mod samples;
mod sms;
mod state;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use jiff::{Timestamp, tz::TimeZone};
use program::telemetry;
use proto::rest::{Patience, Rest};
use serde_json::Value;

use self::{accounts::Scene, sms::Sms};
use crate::{
    access::{Access, make_private_folder},
    settings::Settings,
    standalone::Standalone,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  huizhen demo
  huizhen demo --data data/demo
  huizhen demo --now 2026-12-01T00:00:00+08:00";

/// The settings of the demo.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// The time at which REST's clock starts and from which it goes on, with its zone (RFC 3339); messages keep the machine's
    /// time
    #[arg(long, value_name = "TIME", value_parser = time)]
    now: Option<Timestamp>,
}

/// A time of this century.
fn time(text: &str) -> Result<Timestamp, String> {
    let time: Timestamp = text
        .parse()
        .map_err(|_| "expected a time with its zone, such as 2026-12-01T00:00:00+08:00")?;
    let year = TimeZone::UTC.to_datetime(time).year();
    if (2000..2100).contains(&year) {
        Ok(time)
    } else {
        Err("expected a time from 2000 to 2099".to_owned())
    }
}

/// Serves until a signal. It continues with the state of an earlier run in the same folder.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { mut settings, now } = arguments;
    if let Some(now) = now {
        api_server::set_clock(now.as_millisecond());
    }
    // Its own filter, before the one of a server.
    telemetry::start(settings.common.log, "warn")?;
    on_loopback(&settings)?;
    make_private_folder(&settings.data)?;
    // The demo receives the SMS codes itself, and registers its users as an app does.
    let sms = Sms::start().await?;
    settings.api.sms_provider = api_server::SmsProvider::Webhook;
    settings.api.payment_providers = vec![api_server::PaymentProvider::Mockpay];
    settings.api.sms_webhook_url = Some(sms.url().parse().context("the address of the SMS receiver")?);

    let (process, servers) = Box::pin(Standalone::start(&settings)).await?;
    let rest_address = process.ports().get("rest").context("REST has no listener")?;
    let base = format!("http://{rest_address}");
    let rest = Rest::new(&base, Patience::default())?;
    let stop = process.stop();
    let database = process.stores().database.clone();
    let work = async {
        let running = accounts::Running {
            rest: &rest,
            base: &base,
            database: &database,
        };
        let set_up = accounts::set_up(running, &settings.data, &sms);
        let scene = tokio::select! {
            scene = Box::pin(set_up) => Some(scene.context("the demo cannot be set up")?),
            () = stop.cancelled() => None,
        };
        if let Some(scene) = scene {
            program::output::text(&invitation(&scene, &base, &settings.data));
            sms.print_from_now_on();
        }
        servers.until(stop.clone()).await
    };
    Box::pin(process.run(work)).await
}

/// Refuses other addresses: the demo keeps tokens in files and talks without TLS.
fn on_loopback(settings: &Settings) -> anyhow::Result<()> {
    let addresses = [
        ("--im-addr", settings.im.im_addr.clone()),
        ("--ws-addr", settings.im.ws_addr.clone()),
        ("--rest-addr", settings.api.rest_addr.clone()),
    ];
    for (flag, address) in addresses {
        if !is_loopback(&address) {
            bail!(
                "the demo serves on loopback only, and {flag} is {address}; `huizhen serve` serves elsewhere"
            );
        }
    }
    Ok(())
}

fn is_loopback(address: &str) -> bool {
    match address.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => address.starts_with("localhost:"),
    }
}

/// The text when all is ready: two lines to paste, and the pages.
fn invitation(scene: &Scene, base: &str, data: &Path) -> String {
    let program = quoted(&own_path());
    let line = |file: &Path| format!("{program} chat {}", quoted(file));
    format!(
        "
会诊演示已就绪。在两个终端里各粘贴一行，患者和医生就可以对话：
The demo is ready. Paste each line into a terminal of its own, and patient and doctor can talk:

  {patient}    # 患者 patient: {patient_name}
  {doctor}    # 医生 doctor: {doctor_name}

接口文档 API: {base}/docs
用 curl 调用 call REST: curl -K {curl} {base}/consult/in_process_list
患者钱包 wallet: curl -K {patient_curl} {base}/wallet (三个月的资金往来 three months of money; mockpay)
运营人员 operators: {operator_curl}, {second_operator_curl}
待审核医生 a doctor who waits for approval: curl -K {operator_curl} \"{base}/operator/doctor_list?state=asked\"
数据目录 data: {data} (kill -9 丢不了已确认的消息；再次启动即可继续 · survives kill -9, start it again to go on)
Ctrl-C 停止 stops it.

",
        patient = line(&scene.patient_token),
        doctor = line(&scene.doctor_token),
        patient_name = scene.patient_name,
        doctor_name = scene.doctor_name,
        curl = quoted(&scene.curl),
        patient_curl = quoted(&Access::beside(&scene.patient_token)),
        operator_curl = quoted(&scene.operators[0]),
        second_operator_curl = quoted(&scene.operators[1]),
        data = data.display(),
    )
}

/// A number of an answer.
fn number(answer: &Value, key: &str) -> anyhow::Result<i64> {
    answer[key]
        .as_i64()
        .with_context(|| format!("the answer has no {key}"))
}

/// The path of this program, as typed in the working directory.
fn own_path() -> PathBuf {
    let Ok(path) = std::env::current_exe() else {
        return "huizhen".into();
    };
    match std::env::current_dir().map(|here| path.strip_prefix(here).map(Path::to_path_buf)) {
        Ok(Ok(below)) => Path::new(".").join(below),
        _ => path,
    }
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(&byte));
    if plain {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(
            quoted(Path::new("./target/release/huizhen")),
            "./target/release/huizhen"
        );
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }

    #[test]
    fn a_time_has_its_zone() {
        let ms = |text: &str| time(text).unwrap().as_millisecond();
        assert_eq!(ms("2026-12-01T00:00:00+08:00"), 1_796_054_400_000);
        assert_eq!(ms("2026-11-30T16:00:00Z"), 1_796_054_400_000);
        for bad in [
            "",
            "now",
            "2026-12-01",
            "2026-12-01T00:00:00",
            "2026-13-01T00:00:00Z",
            "1999-12-31T23:59:59Z",
            "2100-01-01T00:00:00Z",
            "1796054400000",
        ] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_loopback_is_loopback() {
        for good in ["127.0.0.1:80", "127.1.2.3:0", "[::1]:80", "localhost:80"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "0.0.0.0:80",
            "[::]:80",
            "10.0.0.1:80",
            "localhost.example:80",
            "x",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
