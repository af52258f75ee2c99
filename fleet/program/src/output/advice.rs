//! Advice to operators: a finding about a setting or a file, and its remedy. Servers log it at the start, and `huizhen
//! check` prints it.

/// The weight of an advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing to do; for reports that list every check.
    Fine,
    /// It works, with a risk.
    Warning,
    /// Apps cannot use it.
    Failure,
}

/// A finding and its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Its weight.
    pub severity: Severity,
    /// A sentence without its full stop.
    pub text: String,
    /// The remedy: a command, or the setting to change. Empty when all is fine.
    pub mend: String,
}

impl Advice {
    /// Nothing to do.
    pub fn fine(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Fine,
            text: text.into(),
            mend: String::new(),
        }
    }

    /// It works, with a risk.
    pub fn warning(text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            text: text.into(),
            mend: mend.into(),
        }
    }

    /// Apps cannot use it.
    pub fn failure(text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            severity: Severity::Failure,
            ..Self::warning(text, mend)
        }
    }

    /// Writes it to the log, unless all is fine.
    pub fn log(&self) {
        let Self { text, mend, .. } = self;
        match self.severity {
            Severity::Fine => {}
            Severity::Warning => tracing::warn!(%mend, "{text}"),
            Severity::Failure => tracing::error!(%mend, "{text}"),
        }
    }
}
