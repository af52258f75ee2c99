//! Parses an address to listen on, while settings are read, so that a refusal names its source.

const EXPECTED: &str = "expected HOST:PORT, as in 127.0.0.1:9501, [::1]:9501, localhost:9501 or 0.0.0.0:9501 for all \
    addresses of the machine; port 0 picks a free one";

/// Parses `HOST:PORT`: an IP address (IPv6 in brackets) or a host name, which is resolved when the listener is bound.
///
/// # Errors
/// The expected form.
pub fn parse(text: &str) -> Result<String, String> {
    let refused = || EXPECTED.to_owned();
    if text.parse::<std::net::SocketAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if is_port && is_name(host) {
        Ok(text.to_owned())
    } else {
        Err(refused())
    }
}

/// Whether a text is a host name. Digits and dots alone are an address.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.len() <= 253 && host.split('.').all(is_label) && host.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_or_a_name_with_a_port() {
        for text in [
            "127.0.0.1:9501",
            "0.0.0.0:0",
            "[::1]:65535",
            "[::]:0",
            "localhost:0",
            "im-1.example.com:9501",
            "im_1:9501",
        ] {
            assert_eq!(parse(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_none_is_refused_with_the_form() {
        for text in [
            "5",
            "true",
            "",
            ":9501",
            "9501:",
            "localhost",
            "localhost:",
            "localhost:65536",
            "localhost:+1",
            "localhost:-1",
            "127.0.0.1",
            "127.0.0.256:1",
            "1.2.3:1",
            "::1:9501",
            "[::1]",
            "[localhost]:1",
            "local host:1",
            "-a:1",
            "a..b:1",
            "http://localhost:1",
            "localhost:1/x",
        ] {
            assert!(
                parse(text).is_err_and(|told| told.contains("HOST:PORT")),
                "{text}"
            );
        }
    }
}
