//! Arguments that put limits out of the way: what is measured or tested is a fleet, not its patience with one address.

const UNLIMITED: &str = "1000000";

/// For a node that is to hold this many sessions, all of them from this machine.
pub fn node_arguments(sessions: usize) -> Vec<String> {
    let sessions = (sessions + 1000).to_string();
    [
        ("max-sessions", sessions.as_str()),
        ("connections-per-address", &sessions),
        ("sends-per-s", UNLIMITED),
        ("failed-logins-per-minute", UNLIMITED),
    ]
    .map(|(flag, value)| format!("--{flag}={value}"))
    .to_vec()
}

/// For an api-server that sends codes to `sms_webhook_url`.
pub fn api_arguments(sms_webhook_url: &str) -> Vec<String> {
    [
        ("sms-provider", "webhook"),
        ("sms-webhook-url", sms_webhook_url),
        ("doctor-verification", "none"),
        ("requests-per-s-user", UNLIMITED),
        ("requests-per-s-address", UNLIMITED),
        ("sms-countries", "+7"),
        ("sms-per-hour-address", UNLIMITED),
        ("wrong-logins-address", UNLIMITED),
    ]
    .map(|(flag, value)| format!("--{flag}={value}"))
    .to_vec()
}
