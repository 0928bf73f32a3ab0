//! Settings of the HTTP server.

use std::fmt;

use super::connections::HttpLimits;

/// Settings of the HTTP server.
#[derive(Clone)]
pub struct HttpSettings {
    /// The token that clients must send as `Authorization: Bearer …`, if any.
    pub token: Option<String>,
    /// Maximum size of a body in bytes.
    pub max_body_bytes: usize,
    /// Maximum total size of the bodies of all open requests in bytes.
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

/// Hides the token.
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
