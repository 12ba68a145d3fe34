//! What the documents say of the sources is so: every test that they name is there, links lead somewhere, and the two languages
//! have the same code, headings and tables.

use std::fs;
use std::path::{Path, PathBuf};

/// The checkout; None where the tests run without it (the Windows build under Wine may not find it).
fn root() -> Option<&'static Path> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("README.md").is_file().then_some(root)
}

/// The guides that show a program before and after it moves here, `docs/from-*.md`.
const GUIDES: [&str; 3] = ["interprocess", "std", "tokio"];

fn documents(root: &Path) -> Vec<PathBuf> {
    let top = fs::read_dir(root).unwrap();
    let others = ["docs", "examples"].into_iter();
    let others = others.filter_map(|dir| fs::read_dir(root.join(dir)).ok());
    let mut documents: Vec<PathBuf> = top
        .chain(others.flatten())
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

/// The lines of a text that stand in no fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The shape of a text: the levels of its headings, its anchors, and how many rows and columns each table has.
fn shape(text: &str) -> Vec<String> {
    let mut shape: Vec<String> = Vec::new();
    let mut rows = 0;
    for line in prose(text).chain([""]) {
        if line.starts_with('|') {
            rows += 1;
            if rows == 1 {
                let columns = line.replace(r"\|", "").matches('|').count() - 1;
                shape.push(format!("a table of {columns} columns"));
            }
            shape.extend(anchors(line).map(|anchor| format!("the anchor {anchor}")));
            continue;
        }
        if rows > 0 {
            shape.push(format!("{rows} rows"));
            rows = 0;
        }
        let level = line.chars().take_while(|c| *c == '#').count();
        if level > 0 && line[level..].starts_with(' ') {
            shape.push(format!("a heading of level {level}"));
        }
    }
    shape
}

#[test]
fn every_document_is_there_in_both_languages_and_says_so() {
    let Some(root) = root() else { return };
    let mut missing = Vec::new();
    for document in documents(&root.join("docs")) {
        let name = document.file_name().unwrap().to_string_lossy().into_owned();
        let other = match name.strip_suffix(".ja.md") {
            Some(stem) => format!("[English]({stem}.md)"),
            None => format!("[日本語]({}.ja.md)", name.trim_end_matches(".md")),
        };
        let text = fs::read_to_string(&document).unwrap();
        if text.lines().nth(2) != Some(&*other) {
            missing.push(format!("{name}: {other}"));
        }
    }
    assert!(missing.is_empty(), "no line 3 of:\n{}", missing.join("\n"));
}

#[test]
fn both_languages_have_the_same_headings_and_tables() {
    let Some(root) = root() else { return };
    for japanese in documents(root) {
        let name = japanese.to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".ja.md") else {
            continue;
        };
        let english = format!("{stem}.md");
        let [there, here] = [&english, &name].map(|path| shape(&fs::read_to_string(path).unwrap()));
        let differs = there.iter().zip(&here).position(|(a, b)| a != b);
        let at = differs.unwrap_or(there.len().min(here.len()));
        assert!(
            there == here,
            "{english} and {name} have another shape from part {at} on: {:?} and {:?}",
            there.get(at),
            here.get(at)
        );
    }
}

/// The places of a text that it names for links to it: `<a id="..."></a>`.
fn anchors(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split("<a id=\"").skip(1);
    after.filter_map(|rest| rest.split('"').next())
}

/// What a link to a heading calls it, as GitHub does.
fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn has_place(text: &str, place: &str) -> bool {
    let heading = |line: &str| {
        line.strip_prefix('#')
            .map(|rest| slug(rest.trim_start_matches('#')))
    };
    anchors(text).any(|anchor| anchor == place)
        || prose(text).filter_map(heading).any(|slug| slug == place)
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
            if target.contains("://") {
                continue;
            }
            let (path, place) = target.split_once('#').unwrap_or((target, ""));
            let there = match path {
                "" => document.clone(),
                path => document.with_file_name(path),
            };
            let found = match place {
                "" => there.exists(),
                place => fs::read_to_string(&there).is_ok_and(|text| has_place(&text, place)),
            };
            if !found {
                missing.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "no such place:\n{}", missing.join("\n"));
}

#[test]
fn every_behaviour_has_an_anchor_of_its_own() {
    let Some(root) = root() else { return };
    let text = fs::read_to_string(root.join("docs/behaviour.md")).unwrap();
    let mut seen = std::collections::HashSet::new();
    let mut wrong = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line != "| behaviour | Windows | Unix |" {
            continue;
        }
        for row in lines
            .by_ref()
            .skip(1)
            .take_while(|row| row.starts_with('|'))
        {
            if !anchors(row)
                .next()
                .is_some_and(|anchor| seen.insert(anchor))
            {
                wrong.push(row);
            }
        }
    }
    assert!(!seen.is_empty(), "no table of behaviour");
    assert!(
        wrong.is_empty(),
        "no anchor, or another row's:\n{}",
        wrong.join("\n")
    );
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

/// The fenced blocks of one kind.
fn blocks<'a>(text: &'a str, kind: &str) -> impl Iterator<Item = &'a str> {
    let open = format!("```{kind}\n");
    text.split("```")
        .skip(1)
        .step_by(2)
        .filter(move |block| format!("```{block}").starts_with(&open))
        .filter_map(|block| block.split_once('\n').map(|(_, code)| code))
}

/// One side of a diff: what stands on both, and what `mark` marks.
fn side(diff: &str, mark: char) -> String {
    diff.lines()
        .filter_map(|line| match line.chars().next() {
            Some(first) if first == mark || first == ' ' => Some(&line[1..]),
            Some(_) => None,
            None => Some(""),
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

/// A diff shows a program before its move and after it. Both are compiled and run by `tests/guides`.
#[test]
fn the_diffs_of_the_guides_are_programs_that_run() {
    let Some(root) = root() else { return };
    for guide in GUIDES {
        let text = fs::read_to_string(root.join(format!("docs/from-{guide}.md"))).unwrap();
        let mut diffs = blocks(&text, "diff");
        let diff = diffs.next().unwrap_or_else(|| panic!("{guide}: no diff"));
        assert!(diffs.next().is_none(), "{guide}: a diff too many");
        for (mark, what) in [('-', "before"), ('+', "after")] {
            let file = format!("tests/guides/{guide}_{what}.rs");
            let program = fs::read_to_string(root.join(&file)).unwrap();
            assert_eq!(side(diff, mark), program, "from-{guide}.md and {file}");
        }
    }
}

/// What a guide shows in C# and Go stands in a program too, which `cargo xtask lab` compiles.
#[test]
fn the_fragments_of_the_guides_are_compiled() {
    let Some(root) = root() else { return };
    let trimmed = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    };
    // What needs .NET 5 or ASP.NET, which the lab does not compile against.
    let newer = ["NamedPipeServerStreamAcl", "ConnectCallback"];
    for (guide, kind, program) in [
        ("dotnet", "csharp", "interop/csharp/Guide.cs"),
        ("go-winio", "go", "interop/go/guide/guide.go"),
    ] {
        let text = fs::read_to_string(root.join(format!("docs/from-{guide}.md"))).unwrap();
        let program = fs::read_to_string(root.join(program));
        let compiled = trimmed(&program.unwrap());
        let mut fragments = 0;
        for fragment in blocks(&text, kind) {
            if newer.iter().any(|mark| fragment.contains(mark)) {
                continue;
            }
            fragments += 1;
            let lines = trimmed(fragment);
            let is_there = compiled.windows(lines.len()).any(|part| part == lines);
            assert!(is_there, "from-{guide}.md, not compiled:\n{fragment}");
        }
        assert!(fragments > 3, "from-{guide}.md shows {fragments} fragments");
    }
}

/// How many columns a text takes in an editor: characters of Chinese, Japanese and Korean take two.
fn columns(text: &str) -> usize {
    text.chars()
        .map(|character| match character {
            '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => 2,
            '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' => 2,
            _ => 1,
        })
        .sum()
}

/// Tables apart, whose rows have one line each, and code, which may not be broken: the README has neither excuse. What is
/// for those who work on the library is not looked at.
#[test]
fn the_documents_fit_an_editor() {
    let Some(root) = root() else { return };
    let mut wide = Vec::new();
    for document in documents(root) {
        let file = document.file_name().unwrap().to_string_lossy();
        let strict = document.parent() == Some(root);
        if strict && !file.starts_with("README") {
            continue;
        }
        let mut fenced = false;
        for (number, line) in fs::read_to_string(&document).unwrap().lines().enumerate() {
            fenced ^= line.starts_with("```");
            let excused = (line.starts_with('|') || fenced) && !strict;
            if columns(line) > 120 && !excused {
                let at = format!("{}:{}", document.display(), number + 1);
                wide.push(format!("{at}: {} columns", columns(line)));
            }
        }
    }
    assert!(wide.is_empty(), "too wide:\n{}", wide.join("\n"));
}
