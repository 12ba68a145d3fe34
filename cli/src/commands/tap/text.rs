//! What happens, for people: hex, or text with escapes.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::event::{Event, What};
use crate::couple::Way;

pub fn direction(way: Way) -> &'static str {
    match way {
        Way::Up => "client -> server",
        Way::Down => "client <- server",
    }
}

fn style(what: &What, color: bool) -> Style {
    if !color {
        return Style::new();
    }
    match what {
        What::Data(Way::Up, _) | What::Message(Way::Up, _) | What::End(Way::Up) => {
            Style::new().fg_color(Some(AnsiColor::Green.into()))
        }
        What::Data(Way::Down, _) | What::Message(Way::Down, _) | What::End(Way::Down) => {
            Style::new().fg_color(Some(AnsiColor::Cyan.into()))
        }
        What::Open | What::Close | What::Shown(_) => Style::new().dimmed(),
    }
}

/// When, since when, which connection, and `what` of it.
pub fn heading(event: &Event, color: bool, what: &str) -> String {
    let style = style(&event.what, color);
    // 2026-01-31T12:34:56.789012Z, without the day: whoever watches knows it, and JSON has it.
    let time = humantime::format_rfc3339_micros(event.time).to_string();
    let clock = time.split_once('T').map_or("", |(_, clock)| clock);
    format!(
        "{style}{clock}  {:>10.6}  #{}  {what}{style:#}",
        event.elapsed.as_secs_f64(),
        event.connection
    )
}

fn summary(what: &What) -> String {
    match what {
        What::Open => "connected".to_owned(),
        What::Data(way, bytes) => {
            format!("{}  {}", direction(*way), count(bytes.len(), "byte"))
        }
        What::Message(way, bytes) => format!(
            "{}  message of {}",
            direction(*way),
            count(bytes.len(), "byte")
        ),
        What::End(way) => format!("{}  end", direction(*way)),
        What::Close | What::Shown(_) => "closed".to_owned(),
    }
}

pub fn hex(event: &Event, most: usize, color: bool) -> String {
    let mut shown = heading(event, color, &summary(&event.what));
    shown.push('\n');
    if let Some((_, bytes)) = event.bytes() {
        for (line, chunk) in bytes[..bytes.len().min(most)].chunks(16).enumerate() {
            hex_line(&mut shown, line * 16, chunk);
        }
        if bytes.len() > most {
            let _ = writeln!(shown, "  and {} more", count(bytes.len() - most, "byte"));
        }
    }
    shown
}

pub fn text(event: &Event, most: usize, color: bool) -> String {
    let mut shown = heading(event, color, &summary(&event.what));
    if let Some((_, bytes)) = event.bytes() {
        shown.push_str("  \"");
        escape(&mut shown, &bytes[..bytes.len().min(most)], false);
        shown.push('"');
        if bytes.len() > most {
            let _ = write!(shown, " and {} more", count(bytes.len() - most, "byte"));
        }
    }
    shown.push('\n');
    shown
}

/// Bytes as text that gives a terminal no commands. `lines`: their ends are left as they are.
pub fn escape(shown: &mut String, bytes: &[u8], lines: bool) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                // Quotes of either kind are plain to see without a backslash.
                '\'' => shown.push(c),
                '\n' | '\t' | '"' | '\\' if lines => shown.push(c),
                '\r' if lines => {}
                _ => shown.extend(c.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
}

fn hex_line(shown: &mut String, at: usize, bytes: &[u8]) {
    let _ = write!(shown, "  {at:08x} ");
    for column in 0..16 {
        if column == 8 {
            shown.push(' ');
        }
        let _ = match bytes.get(column) {
            Some(byte) => write!(shown, " {byte:02x}"),
            None => write!(shown, "   "),
        };
    }
    shown.push_str("  ");
    shown.extend(bytes.iter().map(|&byte| match byte {
        b' '..=b'~' => char::from(byte),
        _ => '.',
    }));
    shown.push('\n');
}

pub fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn event(bytes: &[u8]) -> Event {
        Event {
            connection: 1,
            elapsed: Duration::from_micros(1234),
            time: UNIX_EPOCH + Duration::new(1_709_251_199, 5_000),
            what: What::Data(Way::Up, bytes.to_vec()),
        }
    }

    #[test]
    fn a_chunk_in_each_form() {
        let chunk = event(b"Hello from C#\r\n\xff\x00 \"q\"");
        assert_eq!(
            hex(&chunk, usize::MAX, false),
            "23:59:59.000005Z    0.001234  #1  client -> server  21 bytes\n\
             \x20 00000000  48 65 6c 6c 6f 20 66 72  6f 6d 20 43 23 0d 0a ff  Hello from C#...\n\
             \x20 00000010  00 20 22 71 22                                    . \"q\"\n"
        );
        assert_eq!(
            text(&chunk, usize::MAX, false),
            "23:59:59.000005Z    0.001234  #1  client -> server  21 bytes  \"Hello from C#\\r\\n\\xff\\0 \\\"q\\\"\"\n"
        );
        assert!(text(&chunk, 5, false).ends_with("  21 bytes  \"Hello\" and 16 bytes more\n"));
        assert!(hex(&chunk, 20, false).ends_with(" . \"q\n  and 1 byte more\n"));
        assert!(hex(&chunk, 5, true).starts_with("\u{1b}[32m"));
    }
}
