//! Which file of a crate needs which other: its imports and paths, followed through re-exports to the file that defines
//! what they name.
//!
//! A `mod` is no import, and a `pub use` is a signpost that the reader passes: neither makes its file need anything. Code
//! for one system and for another is read alike, code for tests alone is not read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// One file that needs another, and the first line that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub line: usize,
    pub what: String,
}

/// The files of a crate, and what each needs of the others.
#[derive(Debug, Default)]
pub struct Imports {
    pub needs: BTreeMap<PathBuf, BTreeMap<PathBuf, Need>>,
}

impl Imports {
    /// Of the crate whose root is this file, `src/lib.rs` or `src/main.rs`.
    pub fn of(root: &Path) -> Result<Imports> {
        let mut house = House::default();
        house.file(root, None)?;
        let mut imports = Imports::default();
        for (module, room) in house.rooms.iter().enumerate() {
            let mut reader = Reader {
                house: &house,
                module,
                needs: BTreeMap::new(),
            };
            for item in &room.code {
                reader.visit_item(item);
            }
            let needs = imports.needs.entry(room.file.clone()).or_default();
            for (file, need) in reader.needs {
                if file != room.file {
                    needs.entry(file).or_insert(need);
                }
            }
        }
        Ok(imports)
    }

    /// Every file's shortest way back to itself, each circle told once.
    pub fn circles(&self) -> Vec<Vec<&Path>> {
        let mut found = BTreeSet::new();
        let mut circles = Vec::new();
        for start in self.needs.keys() {
            if let Some(circle) = self.way_back(start) {
                let files: BTreeSet<&Path> = circle.iter().copied().collect();
                if found.insert(files) {
                    circles.push(circle);
                }
            }
        }
        circles
    }

    fn way_back<'a>(&'a self, start: &'a Path) -> Option<Vec<&'a Path>> {
        let mut came_from: BTreeMap<&Path, &Path> = BTreeMap::new();
        let mut next = VecDeque::from([start]);
        while let Some(file) = next.pop_front() {
            for need in self.needs.get(file)?.keys() {
                if need == start {
                    let mut circle = vec![file];
                    while let Some(before) = came_from.get(circle[circle.len() - 1]) {
                        circle.push(before);
                    }
                    circle.reverse();
                    return Some(circle);
                }
                if !came_from.contains_key(need.as_path()) {
                    came_from.insert(need, file);
                    next.push_back(need);
                }
            }
        }
        None
    }
}

/// What a name stands for in a module.
#[derive(Clone, Debug)]
enum Meaning {
    Module(usize),
    DefinedHere,
    /// Something else by that name: the path of a `use`.
    Use(Vec<String>),
}

struct Room {
    file: PathBuf,
    parent: Option<usize>,
    names: HashMap<String, Vec<Meaning>>,
    globs: Vec<Vec<String>>,
    code: Vec<Item>,
}

/// All modules of a crate.
#[derive(Default)]
struct House {
    rooms: Vec<Room>,
}

impl House {
    fn file(&mut self, file: &Path, parent: Option<usize>) -> Result<usize> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let parsed = syn::parse_file(&text).with_context(|| file.display().to_string())?;
        let stem = file.file_stem().unwrap_or_default();
        let inside = if ["lib", "main", "mod"].iter().any(|name| stem == *name) {
            file.with_file_name("")
        } else {
            file.with_extension("")
        };
        self.module(file, &inside, parent, parsed.items)
    }

    /// `inside` is where the files of its own modules are.
    fn module(
        &mut self,
        file: &Path,
        inside: &Path,
        parent: Option<usize>,
        items: Vec<Item>,
    ) -> Result<usize> {
        let this = self.rooms.len();
        self.rooms.push(Room {
            file: file.to_owned(),
            parent,
            names: HashMap::new(),
            globs: Vec::new(),
            code: Vec::new(),
        });
        for item in items {
            if for_tests_alone(attributes(&item)) {
                continue;
            }
            match item {
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let child = match module.content {
                        Some((_, items)) => {
                            self.module(file, &inside.join(&name), Some(this), items)?
                        }
                        None => {
                            let path = module_file(inside, file, &name, &module.attrs);
                            self.file(&path, Some(this))?
                        }
                    };
                    self.name(this, name, Meaning::Module(child));
                }
                item => {
                    if let Item::Use(item) = &item {
                        let mut leaves = Vec::new();
                        leaves_of(&item.tree, &mut Vec::new(), &mut leaves);
                        for (path, name) in leaves {
                            match name {
                                Some(name) => self.name(this, name, Meaning::Use(path)),
                                None => self.rooms[this].globs.push(path),
                            }
                        }
                    } else if let Some(name) = defined(&item) {
                        self.name(this, name, Meaning::DefinedHere);
                    }
                    self.rooms[this].code.push(item);
                }
            }
        }
        Ok(this)
    }

    fn name(&mut self, module: usize, name: String, meaning: Meaning) {
        let names = &mut self.rooms[module].names;
        names.entry(name).or_default().push(meaning);
    }

    /// The modules in which what a path names is defined. A path that ends in a module names nothing yet, and one into
    /// another crate nothing of ours.
    fn definers(&self, module: usize, path: &[String]) -> Vec<usize> {
        let mut seen = HashSet::new();
        self.follow(module, path, &mut seen)
            .into_iter()
            .filter_map(|end| match end {
                End::Defined(module) => Some(module),
                End::Module(_) => None,
            })
            .collect()
    }

    fn follow(
        &self,
        module: usize,
        path: &[String],
        seen: &mut HashSet<(usize, Vec<String>)>,
    ) -> Vec<End> {
        if !seen.insert((module, path.to_vec())) {
            return Vec::new();
        }
        let Some((first, rest)) = path.split_first() else {
            return vec![End::Module(module)];
        };
        let room = &self.rooms[module];
        match first.as_str() {
            "crate" => return self.follow(0, rest, seen),
            "self" => return self.follow(module, rest, seen),
            "super" => {
                let parent = room.parent.unwrap_or(module);
                return self.follow(parent, rest, seen);
            }
            _ => {}
        }
        let mut ends = Vec::new();
        for meaning in room.names.get(first).into_iter().flatten() {
            match meaning {
                Meaning::Module(child) => ends.extend(self.follow(*child, rest, seen)),
                // What follows is a variant, a method or a constant of its own.
                Meaning::DefinedHere => ends.push(End::Defined(module)),
                Meaning::Use(target) => {
                    // `use name::Thing as name` would lead here again.
                    if target.first() != Some(first) || target.len() == 1 {
                        let whole = [target, rest].concat();
                        ends.extend(self.follow(module, &whole, seen));
                    }
                }
            }
        }
        if ends.is_empty() && !room.names.contains_key(first) {
            for glob in &room.globs {
                for end in self.follow(module, glob, seen) {
                    if let End::Module(target) = end {
                        ends.extend(self.follow(target, path, seen));
                    }
                }
            }
        }
        ends
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Module(usize),
    Defined(usize),
}

/// Reads the code of one module.
struct Reader<'a> {
    house: &'a House,
    module: usize,
    needs: BTreeMap<PathBuf, Need>,
}

impl Reader<'_> {
    fn path(&mut self, path: &[String], at: Span) {
        for definer in self.house.definers(self.module, path) {
            let file = self.house.rooms[definer].file.clone();
            self.needs.entry(file).or_insert_with(|| Need {
                line: at.start().line,
                what: path.join("::"),
            });
        }
    }

    /// Inside a macro's brackets there is no syntax, but paths look the same.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut at = Span::call_site();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end_of_path(&mut path, at);
                        at = ident.span();
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                }
                TokenTree::Group(group) => {
                    self.end_of_path(&mut path, at);
                    colons = 0;
                    self.tokens(group.stream());
                }
                _ => {
                    self.end_of_path(&mut path, at);
                    colons = 0;
                }
            }
        }
        self.end_of_path(&mut path, at);
    }

    fn end_of_path(&mut self, path: &mut Vec<String>, at: Span) {
        // A single word may be anything.
        if path.len() > 1 {
            self.path(path, at);
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !for_tests_alone(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !matches!(item.vis, Visibility::Inherited) {
            return;
        }
        let mut leaves = Vec::new();
        leaves_of(&item.tree, &mut Vec::new(), &mut leaves);
        for (path, _) in leaves {
            self.path(&path, item.use_token.span);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if let Some(first) = path.segments.first() {
            self.path(&words, first.ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

/// The paths of a `use`, with the name that each brings; none is a glob.
fn leaves_of(
    tree: &UseTree,
    before: &mut Vec<String>,
    leaves: &mut Vec<(Vec<String>, Option<String>)>,
) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            leaves_of(&path.tree, before, leaves);
            before.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                leaves_of(tree, before, leaves);
            }
        }
        UseTree::Glob(_) => leaves.push((before.clone(), None)),
        UseTree::Name(name) if name.ident == "self" => {
            leaves.push((before.clone(), before.last().cloned()));
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            leaves.push((
                [&before[..], std::slice::from_ref(&name)].concat(),
                Some(name),
            ));
        }
        UseTree::Rename(rename) => {
            let mut path = before.clone();
            if rename.ident != "self" {
                path.push(rename.ident.to_string());
            }
            leaves.push((path, Some(rename.rename.to_string())));
        }
    }
}

fn module_file(inside: &Path, file: &Path, name: &str, attributes: &[Attribute]) -> PathBuf {
    let said = attributes.iter().find_map(|attribute| {
        let syn::Meta::NameValue(meta) = &attribute.meta else {
            return None;
        };
        match &meta.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(path),
                ..
            }) if meta.path.is_ident("path") => Some(file.with_file_name(path.value())),
            _ => None,
        }
    });
    said.unwrap_or_else(|| {
        let plain = inside.join(format!("{name}.rs"));
        if plain.is_file() {
            plain
        } else {
            inside.join(name).join("mod.rs")
        }
    })
}

fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, and with further conditions.
fn for_tests_alone(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return false;
        };
        if !list.path.is_ident("cfg") {
            return false;
        }
        let mut words = list.tokens.clone().into_iter();
        let first = words.next().map(|word| word.to_string());
        match first.as_deref() {
            Some("test") => true,
            Some("all") => words.next().is_some_and(|group| {
                let TokenTree::Group(group) = group else {
                    return false;
                };
                group
                    .stream()
                    .into_iter()
                    .any(|word| word.to_string() == "test")
            }),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The needs of a crate of these files, as "from -> to".
    fn needs(files: &[(&str, &str)]) -> (Vec<String>, usize) {
        let unique = format!("npipe-house-{}-{files:p}", std::process::id());
        let dir = std::env::temp_dir().join(unique);
        for (name, text) in files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let imports = Imports::of(&dir.join("lib.rs")).unwrap();
        let short = |path: &Path| path.strip_prefix(&dir).unwrap().display().to_string();
        let all = imports
            .needs
            .iter()
            .flat_map(|(from, needs)| needs.keys().map(move |to| (from, to)))
            .map(|(from, to)| format!("{} -> {}", short(from), short(to)).replace('\\', "/"))
            .collect();
        let circles = imports.circles().len();
        fs::remove_dir_all(&dir).unwrap();
        (all, circles)
    }

    #[test]
    fn an_import_leads_to_the_file_that_defines_it() {
        let (needs, circles) = needs(&[
            (
                "lib.rs",
                "mod a; mod b; mod sys; pub use a::A; pub(crate) use b::{self as bee, B};",
            ),
            (
                "a.rs",
                "use crate::B; pub struct A(sys::Unix); use crate::sys;",
            ),
            (
                "b.rs",
                "pub struct B; fn f() { println!(\"{}\", crate::sys::os::number()); }",
            ),
            (
                "sys/mod.rs",
                "#[cfg(unix)] mod unix; #[cfg(unix)] pub use unix::*; pub mod os;",
            ),
            ("sys/unix.rs", "use super::os::{self}; pub struct Unix;"),
            ("sys/os.rs", "pub fn number() -> i32 { 1 }"),
        ]);
        assert_eq!(
            needs,
            ["a.rs -> b.rs", "a.rs -> sys/unix.rs", "b.rs -> sys/os.rs"]
        );
        assert_eq!(circles, 0);
    }

    #[test]
    fn a_circle_is_told_once_and_those_of_tests_are_none() {
        let (needs, circles) = needs(&[
            ("lib.rs", "mod a; mod b; mod c; pub use a::A;"),
            (
                "a.rs",
                "pub struct A; impl A { fn f() -> crate::b::B { crate::b::B } }",
            ),
            (
                "b.rs",
                "use crate::c::C; pub struct B; impl B { fn g(_: C) {} }",
            ),
            (
                "c.rs",
                "pub struct C; impl From<crate::A> for C {} #[cfg(test)] mod tests { use crate::b::B; }",
            ),
        ]);
        assert_eq!(needs, ["a.rs -> b.rs", "b.rs -> c.rs", "c.rs -> a.rs"]);
        assert_eq!(circles, 1);
    }
}
