//! Puts values into places of a JSON text, and leaves the rest of the text as it is.

use super::places::Places;
use super::reference::{Attribute, MAX_STEPS};
use super::walk::Located;
use crate::Json;

/// Any value has the same tree of places.
const VALUE: (u32, Attribute) = (0, Attribute::Data);

impl Json {
    /// The same value with other values in some places, each a JSON pointer. The time is proportional to the size of the text.
    /// `None` if a pointer leads nowhere, or if one place is inside of another one.
    #[must_use]
    pub fn with_values_at<'v>(&self, values: impl IntoIterator<Item = (&'v str, Self)>) -> Option<Self> {
        let (mut places, mut nodes) = (Places::default(), Vec::new());
        for (pointer, value) in values {
            let steps: Vec<String> = steps(pointer)?;
            let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
            nodes.push((places.add(VALUE.0, VALUE.1, &steps), value));
        }
        let Some(tree) = places.of(VALUE.0, VALUE.1) else { return nodes.is_empty().then(|| self.clone()) };
        let located = Located::new(tree, self.get());
        let found = nodes.into_iter().map(|(node, value)| Some((located.find(tree, node).ok()?, value)));
        let mut found = found.collect::<Option<Vec<_>>>()?;
        found.sort_by_key(|(range, _)| range.start);
        let (mut text, mut copied) = (String::with_capacity(self.get().len()), 0);
        for (range, value) in found {
            text.push_str(self.get().get(copied..range.start)?);
            text.push_str(value.get());
            copied = range.end;
        }
        text.push_str(&self.get()[copied..]);
        Some(Self::from_checked(text))
    }
}

/// The keys and indices of a JSON pointer that is not empty.
fn steps(pointer: &str) -> Option<Vec<String>> {
    let steps = pointer.strip_prefix('/')?.split('/');
    let steps: Vec<String> = steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    (steps.len() <= MAX_STEPS).then_some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_places_change() {
        let put = |text: &str, at: &[&str]| {
            let value = Json::from_checked(text);
            value
                .with_values_at(at.iter().map(|pointer| (*pointer, Json::string("s\""))))
                .map(|json| json.get().to_owned())
        };
        let text = r#"{"a" : [1.50, {"b/c~": "_.secret.X"}], "d": 1e3 }"#;
        let filled = r#"{"a" : [1.50, {"b/c~": "s\""}], "d": 1e3 }"#;
        assert_eq!(put(text, &["/a/1/b~1c~0"]).as_deref(), Some(filled));
        assert_eq!(put("[1, 2, 3]", &["/2", "/0"]).as_deref(), Some(r#"["s\"", 2, "s\""]"#));
        assert_eq!(put("[1]", &[]).as_deref(), Some("[1]"));
        for at in [&["/a/2"][..], &["/x"], &["a"], &[""], &["/a", "/a/0"], &["/a/0", "/a"]] {
            assert_eq!(put(text, at), None, "{at:?}");
        }
    }
}
