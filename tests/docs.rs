//! What the documents say of the sources is so: every test that they name is there, and the two languages have one code.

use std::fs;
use std::path::{Path, PathBuf};

/// The checkout; None where the tests run without it (the Windows build under Wine may not find it).
fn root() -> Option<&'static Path> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("README.md").is_file().then_some(root)
}

fn documents(root: &Path) -> Vec<PathBuf> {
    let top = fs::read_dir(root).unwrap();
    let docs = fs::read_dir(root.join("docs")).into_iter().flatten();
    let mut documents: Vec<PathBuf> = top
        .chain(docs)
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    documents.sort();
    documents
}

/// The code spans of a text that look like the name of a test: `tests/stream.rs::a_name`, with modules in between or
/// without.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|span| span.contains(".rs::") && !span.contains(char::is_whitespace))
}

/// Whether the source of a test program has a test of that name, and the modules that stand before it.
fn has_test(source: &str, name: &str) -> bool {
    let (modules, name) = name.rsplit_once("::").unwrap_or(("", name));
    let has_module = |module: &str| source.contains(&format!("mod {module} {{"));
    if !modules.split("::").all(|m| m.is_empty() || has_module(m)) {
        return false;
    }
    // The cases of `tests/both` stand in a list.
    let cases = source
        .split_once("both! {")
        .and_then(|(_, rest)| rest.split_once('}'));
    if cases.is_some_and(|(cases, _)| cases.split_whitespace().any(|case| case == name)) {
        return true;
    }
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.contains("::test]") || line.contains("::test(") {
            marked = true;
        } else if marked && line.contains("fn ") {
            let after = line.split("fn ").nth(1).unwrap_or_default();
            if after.split(['(', '<']).next() == Some(name) {
                return true;
            }
            marked = false;
        }
    }
    false
}

#[test]
fn every_test_that_the_documents_name_is_there() {
    let Some(root) = root() else { return };
    let mut missing = Vec::new();
    for document in documents(root) {
        let text = fs::read_to_string(&document).unwrap();
        for span in named_tests(&text) {
            let (file, test) = span.split_once("::").unwrap();
            let there =
                fs::read_to_string(root.join(file)).is_ok_and(|source| has_test(&source, test));
            if !there {
                missing.push(format!("{}: {span}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "no such test:\n{}", missing.join("\n"));
}

/// The fenced blocks of a text, without the comments of shell commands, which are prose.
fn code(text: &str) -> Vec<String> {
    text.split("```")
        .skip(1)
        .step_by(2)
        .map(|block| {
            block
                .lines()
                .map(|line| match line.strip_prefix('$') {
                    Some(command) => command.split('#').next().unwrap_or_default().trim_end(),
                    None => line,
                })
                .collect::<Vec<_>>()
                .join("\n")
        })
        .collect()
}

#[test]
fn both_languages_have_the_same_code_and_tests() {
    let Some(root) = root() else { return };
    let documents = documents(root);
    let translated = documents
        .iter()
        .filter(|path| path.to_string_lossy().ends_with(".ja.md"));
    for japanese in translated {
        let english = PathBuf::from(japanese.to_string_lossy().replace(".ja.md", ".md"));
        let [there, here] = [&english, japanese].map(|path| fs::read_to_string(path).unwrap());
        assert_eq!(
            code(&there),
            code(&here),
            "the code of {} and {} differs",
            english.display(),
            japanese.display()
        );
        assert!(
            named_tests(&there).eq(named_tests(&here)),
            "{} and {} name different tests",
            english.display(),
            japanese.display()
        );
    }
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let Some(root) = root() else { return };
    let mut missing = Vec::new();
    for document in documents(root) {
        let text = fs::read_to_string(&document).unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            if !document.with_file_name(path).exists() {
                missing.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "no such file:\n{}", missing.join("\n"));
}

#[test]
fn the_rows_of_a_table_are_of_one_length() {
    let Some(root) = root() else { return };
    let mut wrong = Vec::new();
    for document in documents(root) {
        let text = fs::read_to_string(&document).unwrap();
        let mut columns = None;
        for (number, line) in text.lines().enumerate() {
            if !line.starts_with('|') {
                columns = None;
                continue;
            }
            let cells = line.replace(r"\|", "").matches('|').count();
            if *columns.get_or_insert(cells) != cells {
                wrong.push(format!("{}:{}", document.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "another length:\n{}", wrong.join("\n"));
}
