//! The modules of a crate, read from its sources: the file of each, what it defines, what it imports, and which paths it names.
//!
//! Tests and documentation are left out: they may use the whole crate. Of a macro call every path in it counts.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::files::Files;

/// A crate. Its first module is the root.
#[derive(Debug, Default)]
pub(super) struct Crate {
    pub(super) modules: Vec<Module>,
}

/// A module: a file, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) file: String,
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    /// The names of its items.
    pub(super) items: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    pub(super) paths: Vec<Named>,
}

/// A name that a `use` imports.
#[derive(Debug)]
pub(super) struct Import {
    /// `None` for a glob import.
    pub(super) name: Option<String>,
    pub(super) is_private: bool,
    pub(super) from: Named,
}

/// A path in the source.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
}

impl Crate {
    /// Reads the crate whose root is this file.
    pub(super) fn read(root: &str, files: &Files) -> Self {
        let mut this = Self::default();
        let folder = root.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
        this.read_file(root, folder, None, files);
        this
    }

    fn read_file(&mut self, file: &str, folder: String, parent: Option<usize>, files: &Files) -> usize {
        let parsed = syn::parse_file(&files[file]).unwrap_or_else(|error| panic!("{file} is no Rust: {error}"));
        self.add(file, folder, parent, &parsed.items, files)
    }

    /// Adds a module with everything below it. `folder` is where the files of its children are.
    fn add(&mut self, file: &str, folder: String, parent: Option<usize>, items: &[syn::Item], files: &Files) -> usize {
        let at = self.modules.len();
        self.modules.push(Module { file: file.to_owned(), parent, ..Module::default() });
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            if let syn::Item::Mod(module) = item {
                let name = module.ident.to_string();
                let below = format!("{folder}/{name}");
                let places = [format!("{below}.rs"), format!("{below}/mod.rs")];
                let child = match &module.content {
                    Some((_, items)) => self.add(file, below, Some(at), items, files),
                    None => match places.iter().find(|place| files.contains_key(*place)) {
                        Some(place) => self.read_file(place, below, Some(at), files),
                        // Its path is set by an attribute.
                        None => continue,
                    },
                };
                self.modules[at].children.insert(name, child);
            } else {
                self.modules[at].items.extend(defined(item));
                Reader(&mut self.modules[at]).visit_item(item);
            }
        }
        at
    }
}

/// Collects the imports and paths of a module's items.
struct Reader<'a>(&'a mut Module);

impl Reader<'_> {
    /// Adds what a `use` imports. `from` is the path so far.
    fn import(&mut self, tree: &syn::UseTree, from: &mut Vec<(String, usize)>, is_private: bool) {
        let segment = |ident: &syn::Ident| (ident.to_string(), ident.span().start().line);
        let (name, last) = match tree {
            syn::UseTree::Path(path) => {
                from.push(segment(&path.ident));
                self.import(&path.tree, from, is_private);
                from.pop();
                return;
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, from, is_private));
                return;
            }
            syn::UseTree::Glob(_) => (None, None),
            syn::UseTree::Name(name) if name.ident == "self" => (from.last().map(|(name, _)| name.clone()), None),
            syn::UseTree::Name(name) => (Some(name.ident.to_string()), Some(segment(&name.ident))),
            syn::UseTree::Rename(rename) if rename.ident == "self" => (Some(rename.rename.to_string()), None),
            syn::UseTree::Rename(rename) => (Some(rename.rename.to_string()), Some(segment(&rename.ident))),
        };
        let whole: Vec<&(String, usize)> = from.iter().chain(&last).collect();
        let Some((_, line)) = whole.last() else { return };
        let from = Named { segments: whole.iter().map(|(name, _)| name.clone()).collect(), line: *line };
        self.0.imports.push(Import { name, is_private, from });
    }

    /// Adds the paths among these tokens: identifiers with `::` between them.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Option<Named> = None;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    let (name, line) = (ident.to_string(), ident.span().start().line);
                    match &mut path {
                        Some(path) if colons == 2 => path.segments.push(name),
                        _ => self.0.paths.extend(path.replace(Named { segments: vec![name], line })),
                    }
                    colons = 0;
                }
                other => {
                    self.0.paths.extend(path.take());
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.0.paths.extend(path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // A path that begins with `::` leads to another crate.
        if item.leading_colon.is_none() {
            self.import(&item.tree, &mut Vec::new(), matches!(item.vis, syn::Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.0.paths.push(Named { segments, line: first.ident.span().start().line });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

/// Whether an item is compiled for tests only.
pub(super) fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let mut names = list.tokens.clone().into_iter();
            match names.next() {
                Some(TokenTree::Ident(first)) if first == "all" => match names.next() {
                    Some(TokenTree::Group(group)) => {
                        group.stream().into_iter().any(|token| matches!(token, TokenTree::Ident(one) if one == "test"))
                    }
                    _ => false,
                },
                Some(TokenTree::Ident(first)) => first == "test",
                _ => false,
            }
        }
        _ => false,
    })
}

/// The attributes of an item.
pub(super) fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name that an item defines.
fn defined(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
