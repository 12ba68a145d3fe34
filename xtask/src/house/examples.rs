//! Which public calls that can fail have no example in their documentation.
//!
//! It reads the sources and not what rustdoc makes of them, so that what only Windows has counts on every system.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ImplItem, Item, Lit, Meta, PathSegment, ReturnType, UseTree, Visibility,
};

/// A public call that can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub file: PathBuf,
    pub line: usize,
    /// `PipeStream::send`, or of the async half `tokio::PipeStream::send`.
    pub name: String,
    pub has_example: bool,
}

/// All of the files' calls on what the crate exports.
pub fn calls(root: &Path, files: &[PathBuf]) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    let [ours, tokios] = ["src/lib.rs", "src/tokio/mod.rs"].map(|file| exports(&root.join(file)));
    let (ours, tokios) = (ours?, tokios?);
    for file in files {
        let short = file.strip_prefix(root).unwrap_or(file);
        let is_async = short.starts_with("src/tokio");
        let (half, exported) = if is_async {
            ("tokio::", &tokios)
        } else {
            ("", &ours)
        };
        let parsed = parse(file)?;
        for mut call in calls_in(&parsed.items, exported) {
            call.file = short.to_owned();
            call.name.insert_str(0, half);
            calls.push(call);
        }
    }
    Ok(calls)
}

fn parse(file: &Path) -> Result<syn::File> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    syn::parse_file(&text).with_context(|| file.display().to_string())
}

/// What a file exports by `pub use`.
fn exports(file: &Path) -> Result<BTreeSet<String>> {
    fn leaves(tree: &UseTree, names: &mut BTreeSet<String>) {
        match tree {
            UseTree::Path(path) => leaves(&path.tree, names),
            UseTree::Name(name) => drop(names.insert(name.ident.to_string())),
            UseTree::Rename(rename) => drop(names.insert(rename.rename.to_string())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, names)),
            UseTree::Glob(_) => {}
        }
    }
    let mut names = BTreeSet::new();
    for item in parse(file)?.items {
        if let Item::Use(item) = item {
            if matches!(item.vis, Visibility::Public(_)) {
                leaves(&item.tree, &mut names);
            }
        }
    }
    Ok(names)
}

fn calls_in(items: &[Item], exported: &BTreeSet<String>) -> Vec<Call> {
    let mut calls = Vec::new();
    let call = |name: String, at: proc_macro2::Span, docs: &[&[Attribute]]| Call {
        file: PathBuf::new(),
        line: at.start().line,
        name,
        has_example: docs.iter().any(|attributes| has_code(attributes)),
    };
    for item in items {
        match item {
            Item::Fn(item) => {
                let name = item.sig.ident.to_string();
                if matches!(item.vis, Visibility::Public(_))
                    && exported.contains(&name)
                    && can_fail(&item.sig.output)
                {
                    calls.push(call(name, item.sig.ident.span(), &[&item.attrs]));
                }
            }
            Item::Impl(item) => {
                // Of a conversion either side may be ours.
                let Some(of) = last_name(&item.self_ty) else {
                    continue;
                };
                let from = item.trait_.iter().flat_map(|(_, path, _)| names_in(path));
                if !exported.contains(&of) && !from.into_iter().any(|from| exported.contains(&from))
                {
                    continue;
                }
                // Of traits these are the conversions: what reads and writes is described by its trait.
                let converts = item.trait_.as_ref().map(|(_, path, _)| {
                    let name = path.segments.last().map(|it| it.ident.to_string());
                    matches!(name.as_deref(), Some("TryFrom" | "FromStr"))
                });
                for method in &item.items {
                    let ImplItem::Fn(method) = method else {
                        continue;
                    };
                    let is_public = converts.unwrap_or(matches!(method.vis, Visibility::Public(_)));
                    if !is_public || !can_fail(&method.sig.output) {
                        continue;
                    }
                    let name = match &item.trait_ {
                        None => method.sig.ident.to_string(),
                        Some((_, path, _)) => names_in(path).join(" "),
                    };
                    calls.push(call(
                        format!("{of}::{name}"),
                        method.sig.ident.span(),
                        &[&item.attrs, &method.attrs],
                    ));
                }
            }
            Item::Mod(item) => {
                if let Some((_, items)) = &item.content {
                    calls.extend(calls_in(items, exported));
                }
            }
            _ => {}
        }
    }
    calls
}

fn last_name(of: &syn::Type) -> Option<String> {
    match of {
        syn::Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}

/// The names in a type or path, one after the other: `TryFrom OwnedFd`.
#[derive(Default)]
struct Names(Vec<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_path_segment(&mut self, segment: &'ast PathSegment) {
        self.0.push(segment.ident.to_string());
        visit::visit_path_segment(self, segment);
    }
}

fn names_in(path: &syn::Path) -> Vec<String> {
    let mut names = Names::default();
    names.visit_path(path);
    names.0
}

/// `io::Result<T>`, `Result<T, E>`, or either inside what a poll gives.
fn can_fail(output: &ReturnType) -> bool {
    let mut names = Names::default();
    names.visit_return_type(output);
    names.0.iter().any(|name| name == "Result")
}

fn has_code(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
            Expr::Lit(text) => matches!(&text.lit, Lit::Str(text) if text.value().contains("```")),
            _ => false,
        },
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, with_example: bool) -> Vec<String> {
        let parsed = syn::parse_file(text).unwrap();
        let exported = BTreeSet::from(["Pipe".to_owned(), "list".to_owned()]);
        calls_in(&parsed.items, &exported)
            .into_iter()
            .filter(|call| call.has_example == with_example)
            .map(|call| call.name)
            .collect()
    }

    #[test]
    fn what_can_fail_and_is_public_needs_an_example() {
        let text = r#"
            /// Text alone.
            pub fn list() -> io::Result<Vec<Entry>> { call() }
            pub fn not_exported() -> io::Result<()> { call() }
            impl Pipe {
                /// ```
                /// pipe.send()?;
                /// ```
                pub fn send(&self) -> io::Result<()> { call() }
                pub async fn recv(&self) -> io::Result<()> { call() }
                pub fn mode(&self) -> Mode { call() }
                pub(crate) fn hidden(&self) -> io::Result<()> { call() }
                fn private(&self) -> io::Result<()> { call() }
            }
            impl Hidden { pub fn call(&self) -> io::Result<()> { call() } }
            impl Read for Pipe { fn read(&mut self) -> io::Result<usize> { call() } }
            impl TryFrom<Fd> for Pipe { fn try_from(fd: Fd) -> io::Result<Pipe> { call() } }
            impl TryFrom<Pipe> for Fd { fn try_from(pipe: Pipe) -> Result<Fd, Error> { call() } }
            /// ```
            /// let pipe = text.parse()?;
            /// ```
            impl FromStr for Pipe { fn from_str(text: &str) -> Result<Pipe, Error> { call() } }
        "#;
        assert_eq!(names(text, true), ["Pipe::send", "Pipe::FromStr"]);
        assert_eq!(
            names(text, false),
            ["list", "Pipe::recv", "Pipe::TryFrom Fd", "Fd::TryFrom Pipe"]
        );
    }
}
