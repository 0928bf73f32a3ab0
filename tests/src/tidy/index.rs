//! An index holds no logic: a `mod.rs`, or a `lib.rs` that declares modules, has declarations, re-exports, constants and
//! type definitions.

use super::files::Files;
use super::modules::{attributes, is_test};

/// The logic in the indexes among these files: file, line and kind of item.
#[must_use]
pub fn logic_in_indexes(files: &Files) -> Vec<(String, usize, &'static str)> {
    let mut found = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.contains("src/")) {
        let is_index = path.ends_with("/mod.rs") || path.ends_with("/lib.rs");
        if !is_index {
            continue;
        }
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path} is no Rust: {error}"));
        let declares = |item: &syn::Item| matches!(item, syn::Item::Mod(module) if module.content.is_none());
        if path.ends_with("/mod.rs") || file.items.iter().any(declares) {
            let items = file.items.iter().filter(|item| !is_test(attributes(item)));
            found.extend(items.filter_map(logic).map(|(line, what)| (path.clone(), line, what)));
        }
    }
    found
}

/// The line and kind of an item, if it is logic.
fn logic(item: &syn::Item) -> Option<(usize, &'static str)> {
    let (span, what) = match item {
        syn::Item::Fn(item) => (item.sig.fn_token.span, "a function"),
        syn::Item::Impl(item) => (item.impl_token.span, "an implementation"),
        syn::Item::Macro(item) => (item.mac.path.segments.first()?.ident.span(), "a macro"),
        syn::Item::Trait(item) => {
            let has_body = |item: &&syn::TraitItem| matches!(item, syn::TraitItem::Fn(one) if one.default.is_some());
            item.items.iter().find(has_body)?;
            (item.trait_token.span, "a trait with default methods")
        }
        _ => return None,
    };
    Some((span.start().line, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let files = Files::from([(path.to_owned(), text.to_owned())]);
        logic_in_indexes(&files).into_iter().map(|(_, line, what)| (line, what)).collect()
    }

    #[test]
    fn declarations_and_definitions_are_no_logic() {
        let text = "mod a;\npub use a::A;\npub const B: u32 = 1;\npub struct C(A);\npub enum D { E }\npub type F = C;\n\
                    pub trait G { fn g(&self); }\n#[cfg(test)]\nmod tests { fn f() {} }";
        assert_eq!(found("x/src/a/mod.rs", text), []);
    }

    #[test]
    fn code_is_logic() {
        let text = "mod a;\npub fn b() {}\nimpl C {}\nmacro_rules! d { () => {} }\ntrait E { fn e(&self) {} }";
        let expected =
            [(2, "a function"), (3, "an implementation"), (4, "a macro"), (5, "a trait with default methods")];
        assert_eq!(found("x/src/a/mod.rs", text), expected);
        assert_eq!(found("x/src/lib.rs", text), expected);
        assert_eq!(found("x/src/lib.rs", "pub fn whole_crate() {}"), [], "it is no index");
        assert_eq!(found("x/src/a.rs", text), [], "it is no index");
    }
}
