//! Advice to operators: what is wrong with a setting or a file, and what mends it. Programs log it at the start, and
//! `huizhen check` prints it.

/// How much an advice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing to do; for reports that list what was looked at.
    Fine,
    /// It works, and is not as it should be.
    Warning,
    /// Apps cannot use it as it is.
    Failure,
}

/// A finding and its cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// How much it matters.
    pub severity: Severity,
    /// A sentence without its full stop.
    pub text: String,
    /// A command, or the setting to change; empty when all is fine.
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

    /// It works, and is not as it should be.
    pub fn warning(text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            text: text.into(),
            mend: mend.into(),
        }
    }

    /// Apps cannot use it as it is.
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
