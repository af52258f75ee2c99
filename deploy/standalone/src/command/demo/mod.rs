//! `huizhen demo`: serves on loopback, with accounts and an open consult to try things with.

mod accounts;
mod sms;
mod state;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use program::telemetry;
use proto::rest::{Patience, Rest};

use self::{accounts::Scene, sms::Sms};
use crate::{access::make_private_folder, settings::Settings, standalone::Standalone};

pub(super) const EXAMPLES: &str = "\
Examples:
  huizhen demo
  huizhen demo --data data/demo";

/// Serves until a signal. It continues with the state of an earlier run in the same folder.
pub(super) async fn run(mut settings: Settings) -> anyhow::Result<ExitCode> {
    // Its own filter, before the one of a server.
    telemetry::start(settings.common.log, "warn")?;
    on_loopback(&settings)?;
    make_private_folder(&settings.data)?;
    // The demo receives the SMS codes itself, and registers its users as an app does.
    let sms = Sms::start().await?;
    settings.api.sms_provider = api_server::SmsProvider::Webhook;
    settings.api.sms_webhook_url = Some(sms.url().parse().context("the address of the SMS receiver")?);

    let (process, servers) = Box::pin(Standalone::start(&settings)).await?;
    let rest_address = process.ports().get("rest").context("REST has no listener")?;
    let base = format!("http://{rest_address}");
    let rest = Rest::new(&base, Patience::default())?;
    let stop = process.stop();
    let work = async {
        let set_up = accounts::set_up(&rest, &base, &settings.data, &sms);
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
    process.run(work).await
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
数据目录 data: {data} (kill -9 丢不了已确认的消息；再次启动即可继续 · survives kill -9, start it again to go on)
Ctrl-C 停止 stops it.

",
        patient = line(&scene.patient_token),
        doctor = line(&scene.doctor_token),
        patient_name = scene.patient_name,
        doctor_name = scene.doctor_name,
        curl = quoted(&scene.curl),
        data = data.display(),
    )
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
