//! Where an SDDL string is wrong: the system only says that it is, so its parts are tried one by one.

/// A sentence on the first part of `sddl` that `accepts`, the system's own reader, does not take.
///
/// <https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format>
pub(crate) fn find_mistake(sddl: &str, accepts: impl Fn(&str) -> bool) -> String {
    if sddl.trim().is_empty() {
        return "the SDDL is empty: give for example D:P(A;;GA;;;SY)(A;;GA;;;OW)".to_owned();
    }
    let parts = split(sddl);
    if parts.first().is_none_or(|first| first.at > 0) {
        return format!(
            "the SDDL {sddl:?} is wrong at character 1: it must begin with O:, G:, D: or S:, as in D:P(A;;GA;;;OW)"
        );
    }
    let mut seen = Vec::new();
    for part in parts {
        if seen.contains(&part.kind) {
            return at(sddl, part.at, part.text, "is there twice");
        }
        seen.push(part.kind);
        if accepts(part.text) {
            continue;
        }
        if matches!(part.kind, 'O' | 'G') {
            return at(
                sddl,
                part.at,
                part.text,
                "needs a SID, as in O:BA or O:S-1-5-32-544",
            );
        }
        let (flags, entries) = part
            .text
            .split_at(part.text.find('(').unwrap_or(part.text.len()));
        if !accepts(flags) {
            return at(
                sddl,
                part.at,
                flags,
                "has flags that are not P, AR, AI or NO_ACCESS_CONTROL",
            );
        }
        let mut from = part.at + flags.len();
        for entry in pieces(entries) {
            let whole = entry.starts_with('(') && entry.ends_with(')');
            if !whole {
                return at(sddl, from, entry, "is not an entry in parentheses");
            }
            if !accepts(&format!("{}:{entry}", part.kind)) {
                let fields = entry.split(';').count();
                return if (6..=7).contains(&fields) {
                    at(
                        sddl,
                        from,
                        entry,
                        "is no entry that the system takes: (type;flags;rights;;;SID), as in (A;;GA;;;SY)",
                    )
                } else {
                    at(
                        sddl,
                        from,
                        entry,
                        format_args!(
                            "has {fields} fields, and an entry has 6: (type;flags;rights;;;SID), as in (A;;GA;;;SY)"
                        ),
                    )
                };
            }
            from += entry.len();
        }
        return at(
            sddl,
            part.at,
            part.text,
            "is not taken by the system as a whole",
        );
    }
    format!("the SDDL {sddl:?} is not taken by the system as a whole")
}

fn at(sddl: &str, byte: usize, text: &str, why: impl std::fmt::Display) -> String {
    let character = sddl
        .get(..byte)
        .map_or(byte, |before| before.chars().count())
        + 1;
    format!("the SDDL is wrong at character {character}: {text:?} {why}")
}

struct Component<'a> {
    kind: char,
    at: usize,
    text: &'a str,
}

/// The components, `O:`, `G:`, `D:` and `S:`, each with all that follows it. A letter in parentheses is none.
fn split(sddl: &str) -> Vec<Component<'_>> {
    let bytes = sddl.as_bytes();
    let mut starts = Vec::new();
    let mut depth = 0usize;
    for (i, &byte) in bytes.iter().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'O' | b'G' | b'D' | b'S' if depth == 0 && bytes.get(i + 1) == Some(&b':') => {
                starts.push(i);
            }
            _ => {}
        }
    }
    let ends = starts.iter().skip(1).copied().chain([sddl.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&at, end)| Component {
            kind: bytes[at] as char,
            at,
            text: &sddl[at..end],
        })
        .collect()
}

/// The entries of an ACL, each from its opening to its closing parenthesis; what stands between or after them too.
fn pieces(entries: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = entries;
    while !rest.is_empty() {
        let mut depth = 0usize;
        let end = rest.char_indices().find_map(|(i, c)| match c {
            '(' => {
                depth += 1;
                None
            }
            ')' if depth == 1 => Some(i + 1),
            ')' => {
                depth = depth.saturating_sub(1);
                None
            }
            _ => None,
        });
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that knows as much SDDL as the tests need.
    fn accepts(part: &str) -> bool {
        let Some((kind, rest)) = part.split_once(':') else {
            return false;
        };
        let sid = |sid: &str| ["SY", "BA", "OW", "WD"].contains(&sid);
        if matches!(kind, "O" | "G") {
            return sid(rest);
        }
        let rest = rest.trim_start_matches("P").trim_start_matches("AI");
        pieces(rest).iter().all(|entry| {
            entry
                .strip_prefix('(')
                .and_then(|e| e.strip_suffix(')'))
                .is_some_and(|e| {
                    let fields: Vec<_> = e.split(';').collect();
                    fields.len() == 6 && ["A", "D"].contains(&fields[0]) && sid(fields[5])
                })
        })
    }

    #[test]
    fn the_wrong_part_is_named_with_its_place() {
        for (sddl, said) in [
            ("", "is empty"),
            ("nonsense", "character 1: it must begin"),
            ("O:XXD:P(A;;GA;;;SY)", r#"character 1: "O:XX" needs a SID"#),
            ("D:Q(A;;GA;;;SY)", r#"character 1: "D:Q" has flags"#),
            (
                "D:P(A;;GA;;;SY)(A;;GA;;;ZZ)",
                r#"character 16: "(A;;GA;;;ZZ)" is no entry"#,
            ),
            ("D:P(A;;GA;SY)", r#"character 4: "(A;;GA;SY)" has 4 fields"#),
            (
                "D:P(A;;GA;;;SY",
                r#"character 4: "(A;;GA;;;SY" is not an entry"#,
            ),
            (
                "D:P(A;;GA;;;SY)D:(A;;GA;;;BA)",
                "character 16: \"D:(A;;GA;;;BA)\" is there twice",
            ),
        ] {
            let told = find_mistake(sddl, accepts);
            assert!(told.contains(said), "{sddl}: {told}");
        }
    }
}
