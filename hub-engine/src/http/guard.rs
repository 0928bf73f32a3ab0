//! Who may use the API.
//!
//! Without a token whoever reaches the port may run jobs. On loopback that is meant for the programs of this
//! machine, not for every web page that one of its browsers shows: a page can make its browser send requests
//! here, by address, or by a name of its own that it has resolve to 127.0.0.1. Both are told apart by what
//! browsers write into `Origin` and `Host`.

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

/// Lets through who may use the API.
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
            let message = "this dispatcher wants a token: send it as \"Authorization: Bearer TOKEN\"";
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
            "this dispatcher serves its own machine, and {host:?} may be anybody's name for that: \
             use 127.0.0.1 or localhost, or give the dispatcher a token"
        ))),
        _ => Ok(()),
    }
}

/// Whether `host` names a machine by address, or is the name that always means this one.
fn is_here(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

fn forbidden(message: String) -> Refused {
    Refused::new(StatusCode::FORBIDDEN, RequestErrorKind::Unauthorized, message)
}

/// A header's value; an empty text where it has characters that no such header has.
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
    fn programs_of_this_machine_may_and_foreign_pages_may_not() {
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
    fn elsewhere_only_the_page_matters() {
        assert!(is_allowed("hub.example.org", None, false));
        assert!(is_allowed("hub.example.org", Some("https://hub.example.org"), false));
        assert!(!is_allowed("hub.example.org", Some("https://example.org"), false));
    }
}
