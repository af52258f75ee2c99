use super::ProxiedPort;

/// A port that apps connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Tcp,
    WebSocket,
    Tls,
}

impl Door {
    pub(crate) fn port(self) -> ProxiedPort {
        match self {
            Self::Tcp => ProxiedPort::Im,
            Self::WebSocket => ProxiedPort::Ws,
            Self::Tls => ProxiedPort::Tls,
        }
    }

    /// As in the ports file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "im",
            Self::WebSocket => "ws",
            Self::Tls => "tls",
        }
    }

    /// The setting that demands a PROXY header on this port alone.
    pub(crate) fn proxy_flag(self) -> &'static str {
        match self {
            Self::Tcp => "--proxy-protocol-ports im",
            Self::WebSocket => "--proxy-protocol-ports ws",
            Self::Tls => "--proxy-protocol-ports tls",
        }
    }
}
