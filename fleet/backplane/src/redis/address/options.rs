//! The options of an address.

use crate::OpenError;

/// Begins every key and channel, unless the address names another prefix.
pub(super) const DEFAULT_PREFIX: &str = "huizhen:";

/// The options behind the `?`.
pub(super) struct Options<'u> {
    pub(super) prefix: String,
    pub(super) ca_cert: Option<&'u str>,
    /// `user:password@` of the sentinels, as in a URL.
    pub(super) sentinel_user: &'u str,
    pub(super) sentinel_password: Option<&'u str>,
}

impl<'u> Options<'u> {
    pub(super) fn parse(text: &'u str, is_tls: bool, is_sentinel: bool) -> Result<Self, OpenError> {
        let mut options = Self {
            prefix: DEFAULT_PREFIX.to_owned(),
            ca_cert: None,
            sentinel_user: "",
            sentinel_password: None,
        };
        for option in text.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("prefix", value)) if is_prefix(value) => options.prefix = value.to_owned(),
                Some(("prefix", _)) => {
                    return Err(OpenError::Address(
                        "prefix= takes up to 64 letters, digits and :-_. and nothing else".into(),
                    ));
                }
                Some(("ca_cert", path)) if is_tls => options.ca_cert = Some(path),
                Some(("ca_cert", _)) => {
                    return Err(OpenError::Address("ca_cert= needs rediss:// (TLS)".into()));
                }
                Some(("sentinel_user", user)) if is_sentinel => options.sentinel_user = user,
                Some(("sentinel_password", password)) if is_sentinel => {
                    options.sentinel_password = Some(password);
                }
                _ => {
                    let name = option.split('=').next().unwrap_or_default();
                    return Err(OpenError::Address(format!(
                        "{name} is no option; there are prefix=TEXT, with rediss:// ca_cert=FILE, and with \
                         redis+sentinel:// sentinel_user=TEXT and sentinel_password=TEXT"
                    )));
                }
            }
        }
        Ok(options)
    }
}

fn is_prefix(text: &str) -> bool {
    text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b":-_.".contains(&byte))
}
