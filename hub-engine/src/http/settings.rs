//! How the API is served.

use std::fmt;

use super::connections::HttpLimits;

/// How the API is served.
#[derive(Clone)]
pub struct HttpSettings {
    /// What clients must show, as `Authorization: Bearer …`. `None`: nothing.
    pub token: Option<String>,
    /// The largest body that is read, in bytes.
    pub max_body_bytes: usize,
    /// How large the bodies of all open requests may be together, in bytes.
    pub max_open_bytes: usize,
    /// Limits on connections.
    pub limits: HttpLimits,
}

impl Default for HttpSettings {
    fn default() -> Self {
        let mib = 1024 * 1024;
        Self { token: None, max_body_bytes: 16 * mib, max_open_bytes: 128 * mib, limits: HttpLimits::default() }
    }
}

/// Keeps the token to itself.
impl fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings")
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("max_body_bytes", &self.max_body_bytes)
            .field("max_open_bytes", &self.max_open_bytes)
            .field("limits", &self.limits)
            .finish()
    }
}
