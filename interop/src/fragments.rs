//! The code in the README: what a reader copies is what the tests compile and run.
//!
//! Shared by the build script (Rust), the lab's chore (C#), and the tests.

/// The fenced blocks of one language, in order. `language` is all that stands behind the fence, such as `csharp`.
pub fn of<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, fenced)) = rest.split_once("\n```") {
        let Some((info, body)) = fenced.split_once('\n') else {
            break;
        };
        // A block may be empty, so its end is looked for from the line break before it.
        let Some((code, after)) = fenced[info.len()..].split_once("\n```") else {
            break;
        };
        if info.trim_end() == language {
            found.push(&body[..code.len()]);
        }
        rest = after;
    }
    found
}

/// The block of a language that has `mark` in it; None where there is none, or where there are several.
pub fn the<'a>(text: &'a str, language: &str, mark: &str) -> Option<&'a str> {
    let mut with = of(text, language)
        .into_iter()
        .filter(|code| code.contains(mark));
    with.next().filter(|_| with.next().is_none())
}
