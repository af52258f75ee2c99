//! `huizhen serve`: the one-process server.

use std::process::ExitCode;

use crate::{settings::Settings, standalone::Standalone};

pub(super) const EXAMPLES: &str = "\
Examples:
  huizhen serve
  huizhen serve --config data/huizhen.toml
  huizhen serve --rest-addr 127.0.0.1:0 --ports-file ports.json
  huizhen serve --print-config";

/// Serves until a signal.
pub(super) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let (process, servers) = Standalone::start(&settings).await?;
    let serving = servers.until(process.stop());
    Box::pin(process.run(serving)).await
}
