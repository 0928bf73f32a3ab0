//! Access control of the API.
//!
//! Without a token, everyone who reaches the port can run jobs. On loopback, access is intended for programs on this
//! machine, and not for web pages in its browsers. A page can make its browser send requests to 127.0.0.1, by address
//! or by a domain that resolves to it (DNS rebinding). Such requests are recognised by the headers `Origin` and `Host`.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refused;
use super::api::Api;
use super::token;
use crate::operations::RequestErrorKind;

/// Refuses requests without access.
pub(super) async fn check(State(api): State<Api>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let allowed = match &api.settings.token {
        Some(wanted) => check_token(headers, wanted),
        None => check_origin(headers, api.only_here),
    };
    match allowed {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

fn check_token(headers: &HeaderMap, wanted: &str) -> Result<(), Refused> {
    let given = text(headers, &header::AUTHORIZATION).and_then(|value| value.split_once(' '));
    match given {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") && token::is_right(given.trim(), wanted) => {
            Ok(())
        }
        _ => {
            let message = "this dispatcher requires a token: send it as \"Authorization: Bearer TOKEN\"";
            Err(Refused::new(StatusCode::UNAUTHORIZED, RequestErrorKind::Unauthorized, message))
        }
    }
}

fn check_origin(headers: &HeaderMap, only_here: bool) -> Result<(), Refused> {
    let host = text(headers, &header::HOST);
    if let Some(origin) = text(headers, &header::ORIGIN) {
        let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !own.zip(host).is_some_and(|(own, host)| own.eq_ignore_ascii_case(host)) {
            return Err(forbidden(format!("a page of {origin} may not use this dispatcher")));
        }
    }
    match host {
        Some(host) if only_here && !is_here(host) => Err(forbidden(format!(
            "this dispatcher serves only its own machine, and {host:?} is not one of its known names: \
             use 127.0.0.1 or localhost, or configure a token"
        ))),
        _ => Ok(()),
    }
}

/// Whether `host` is an IP address or `localhost`.
fn is_here(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

fn forbidden(message: String) -> Refused {
    Refused::new(StatusCode::FORBIDDEN, RequestErrorKind::Unauthorized, message)
}

/// The value of a header; an empty text if it has invalid characters.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(host: &str, origin: Option<&str>, only_here: bool) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        check_origin(&headers, only_here).is_ok()
    }

    #[test]
    fn local_programs_have_access_and_web_pages_do_not() {
        let cases = [
            ("127.0.0.1:8420", None, true),
            ("[::1]:8420", None, true),
            ("localhost:8420", None, true),
            ("LocalHost", None, true),
            ("localhost:8420", Some("http://localhost:8420"), true),
            ("localhost:8420", Some("http://localhost:9000"), false),
            ("127.0.0.1:8420", Some("https://example.org"), false),
            ("127.0.0.1:8420", Some("null"), false),
            ("example.org:8420", Some("http://example.org:8420"), false),
            ("example.org:8420", None, false),
            ("localhost.example.org", None, false),
            ("", None, false),
        ];
        for (host, origin, allowed) in cases {
            assert_eq!(is_allowed(host, origin, true), allowed, "{host} {origin:?}");
        }
    }

    #[test]
    fn on_other_addresses_only_the_origin_is_checked() {
        assert!(is_allowed("hub.example.org", None, false));
        assert!(is_allowed("hub.example.org", Some("https://hub.example.org"), false));
        assert!(!is_allowed("hub.example.org", Some("https://example.org"), false));
    }
}
