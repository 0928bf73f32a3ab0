//! The keys of an HTTP request.

use super::key::{self, Object, Table};
use super::{object, shapes, values};
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::quoted::quoted;
use crate::job::reader::Reader;
use crate::job::run::{METHODS, OWN_HEADERS};
use crate::job::value::Value;

type Key = key::Key<HttpObject>;

/// The bytes of a header's name, besides letters and digits.
const HEADER_BYTES: &[u8] = b"!#$%&'*+-.^_`|~";

/// The keys of an HTTP request. Add new keys here.
pub(super) static HTTP: Table<HttpObject> = Table {
    title: "Http",
    about: "An HTTP request.",
    noun: "\"http\"",
    place: "it belongs in \"http\"",
    keys: &[
        Key::new("url", "0.2.0", |reader, (), value, path| url(reader, value, path), shapes::url, "The address.")
            .required(ProblemCode::MissingKey),
        Key::new(
            "method",
            "0.2.0",
            |reader, (), value, path| method(reader, value, path),
            shapes::method,
            "The method; default GET.",
        ),
        Key::new(
            "headers",
            "0.2.0",
            |reader, (), value, path| headers(reader, value, path),
            shapes::headers,
            "The headers: an object.",
        ),
        Key::new(
            "body",
            "0.2.0",
            |_, (), _, _| {},
            shapes::template,
            "The body: a string is sent as it is, any other value as JSON.",
        ),
    ],
    planned: &[],
    reserved: &[],
    beside: None,
};

/// An HTTP request as an object of the format.
pub(super) struct HttpObject;

impl Object for HttpObject {
    type Draft<'a> = ();
}

/// Checks a request. Its references are found later.
pub(super) fn check(reader: &mut Reader, value: Value<'_>, path: Path<'_>) {
    if let Some(object) = reader.object(value, path, "\"http\"") {
        object::read(reader, &HTTP, object, path, &mut ());
    }
}

fn url(reader: &mut Reader, value: Value<'_>, path: Path<'_>) {
    let Some(url) = reader.string(value, path, "\"url\"") else { return };
    let is_address = ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    let is_plain = !url.contains(|letter: char| letter.is_control() || letter == ' ');
    // What is wrong with a reference is reported when it is read.
    let rule = if url.starts_with('_') || is_address && is_plain {
        Ok(())
    } else {
        Err(format!("a URL begins with http:// or https:// and has no spaces, unlike {}", quoted(&url)))
    };
    reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at);
}

fn method(reader: &mut Reader, value: Value<'_>, path: Path<'_>) {
    let Some(word) = reader.string(value, path, "\"method\"") else { return };
    if !METHODS.contains(&&*word) {
        let upper = METHODS.into_iter().find(|method| method.eq_ignore_ascii_case(&word));
        let suggestion =
            upper.map_or_else(|| format!("the methods are {}", METHODS.join(", ")), |upper| format!("write {upper}"));
        let message = format!("there is no method {}", quoted(&word));
        reader.report.add(ProblemCode::OutOfRange, path, value.at, message, Some(suggestion));
    }
}

fn headers(reader: &mut Reader, value: Value<'_>, path: Path<'_>) {
    let Some(object) = reader.object(value, path, "\"headers\"") else { return };
    reader.unique_keys(object, path);
    for (key, value) in object.properties() {
        let name = key.decoded();
        let is_token =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || HEADER_BYTES.contains(&byte));
        let rule = if !is_token {
            Err(format!("{} cannot be the name of a header: it has letters, digits and hyphens", quoted(&name)))
        } else if OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            Err(format!("Hub sets the header {} itself", quoted(&name)))
        } else {
            Ok(())
        };
        reader.check_rule(rule, ProblemCode::BadName, path.key(&name), key.at);
        if values::is_word(reader, value, path.key(&name), "a header") {
            let has_control = value.text.starts_with('"')
                && value.decoded().contains(|letter: char| letter.is_control() && letter != '\t');
            let rule = if has_control {
                Err("a header must not contain line breaks or other control characters".to_owned())
            } else {
                Ok(())
            };
            reader.check_rule(rule, ProblemCode::OutOfRange, path.key(&name), value.at);
        }
    }
}
