//! `huizhen check`: one line for each need of a server, ok, warn or fail, with the command that repairs it.

mod certificate;
mod deep;
mod exposure;
mod machine;
mod media;
mod outside;
mod ports;
mod space;
mod store;

use std::{fmt, process::ExitCode};

use program::output::{Advice, Severity};

use crate::settings::Settings;

pub(super) const EXAMPLES: &str = "\
The exit status is 1 when a line says fail.

--deep reads every entry and every page, verifies their checksums, compares the indexes with the entries, and lets
SQLite check its trees; the server may run meanwhile. Each damaged row is named, at most 100 of them. It also compares
each medium with its bytes in the store.

Examples:
  huizhen check
  huizhen check --deep
  huizhen check --config data/huizhen.toml";

/// The objects of the check.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Read and verify the whole database
    #[arg(long)]
    deep: bool,
}

/// The verdict of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    verdict: Verdict,
    about: &'static str,
    text: String,
    /// The remedy, as a command to type.
    mend: Option<String>,
}

impl Finding {
    /// Converts the advice that servers log at their start.
    fn of(about: &'static str, advice: Advice) -> Self {
        let Advice { severity, text, mend } = advice;
        match severity {
            Severity::Fine => Self::ok(about, text),
            Severity::Warning => Self::warn(about, text, mend),
            Severity::Failure => Self::fail(about, text, mend),
        }
    }

    fn ok(about: &'static str, text: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Ok,
            about,
            text: text.into(),
            mend: None,
        }
    }

    fn warn(about: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warn,
            about,
            text: text.into(),
            mend: Some(mend.into()),
        }
    }

    fn fail(about: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(about, text, mend)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        write!(f, "{verdict:5} {:12} {}", self.about, self.text)?;
        if let Some(mend) = &self.mend {
            write!(f, "\n                   → {mend}")?;
        }
        Ok(())
    }
}

/// Runs all checks and prints their lines.
pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { settings, deep } = arguments;
    settings.set_layer();
    // Invalid settings have ended the program before.
    let mut findings = vec![Finding::ok(
        "settings",
        match &settings.common.config {
            Some(file) => format!("{} and the environment can be read", file.display()),
            None => "no file; the environment and flags can be read".to_owned(),
        },
    )];
    findings.push(store::folder(&settings));
    findings.extend(space::findings(&settings));
    findings.push(store::database(&settings).await);
    findings.extend(store::machines(&settings).await);
    if deep {
        findings.extend(deep::findings(&settings).await);
    }
    findings.extend(media::findings(&settings, deep).await);
    findings.extend(store::redis(&settings).await);
    let running = ports::Running::find(&settings).await;
    findings.extend(ports::findings(&settings, running.as_ref()).await);
    findings.push(outside::advertised(&settings, running.as_ref()).await);
    findings.push(outside::sms(&settings).await);
    findings.extend(outside::payment(&settings).await);
    findings.push(machine::open_files(&settings));
    findings.push(machine::clock(&settings));
    findings.extend(store::clocks(&settings).await);
    findings.push(store::sync_time(&settings));
    findings.extend(certificate::findings(&settings));
    findings.extend(exposure::findings(&settings).await);
    for finding in &findings {
        program::say!("{finding}");
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
