//! What happens as JSON, a line for each event: for programs, and for `npipe replay`.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::event::{Event, What};
use crate::couple::Way;

/// One line. The names are promised to stay.
#[derive(Debug, Deserialize, Serialize)]
struct Line<'a> {
    time: String,
    elapsed: f64,
    connection: u64,
    event: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<bool>,
}

const UP: &str = "client-to-server";
const DOWN: &str = "server-to-client";

pub fn json(event: &Event, most: usize) -> String {
    let mut line = Line {
        time: humantime::format_rfc3339_micros(event.time).to_string(),
        elapsed: event.elapsed.as_secs_f64(),
        connection: event.connection,
        event: "".into(),
        direction: None,
        length: None,
        text: None,
        base64: None,
        cut: None,
    };
    let from_to = |way: &Way| {
        Some(Cow::from(match way {
            Way::Up => UP,
            Way::Down => DOWN,
        }))
    };
    match &event.what {
        What::Open => line.event = "open".into(),
        What::Close | What::Shown(_) => line.event = "close".into(),
        What::End(way) => {
            line.event = "end".into();
            line.direction = from_to(way);
        }
        What::Data(way, bytes) | What::Message(way, bytes) => {
            let is_data = matches!(event.what, What::Data(..));
            line.event = if is_data { "data" } else { "message" }.into();
            line.direction = from_to(way);
            line.length = Some(bytes.len());
            line.cut = (bytes.len() > most).then_some(true);
            let bytes = &bytes[..bytes.len().min(most)];
            match std::str::from_utf8(bytes) {
                Ok(text) => line.text = Some(text.into()),
                Err(_) => line.base64 = Some(BASE64.encode(bytes)),
            }
        }
    }
    // Strings and numbers always have a form in JSON.
    let mut json = serde_json::to_string(&line).unwrap_or_default();
    json.push('\n');
    json
}

/// An event that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub connection: u64,
    pub elapsed: Duration,
    pub act: Act,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Open,
    Pass {
        way: Way,
        bytes: Vec<u8>,
        message: bool,
    },
    End(Way),
    Close,
}

/// What a line says; else what is wrong with it.
pub fn step(line: &str) -> Result<Step, String> {
    let line: Line = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let way = match line.direction.as_deref() {
        Some(UP) => Some(Way::Up),
        Some(DOWN) => Some(Way::Down),
        Some(other) => return Err(format!("there is no direction {other:?}")),
        None => None,
    };
    let way = way.ok_or("it has no direction");
    let act = match &*line.event {
        "open" => Act::Open,
        "close" => Act::Close,
        "end" => Act::End(way?),
        "data" | "message" if line.cut == Some(true) => {
            return Err("its bytes were cut by --bytes; record it with --record".into());
        }
        "data" | "message" => Act::Pass {
            way: way?,
            message: line.event == "message",
            bytes: match (line.text, line.base64) {
                (Some(text), None) => text.into_owned().into_bytes(),
                (None, Some(base64)) => BASE64.decode(base64).map_err(|e| e.to_string())?,
                _ => return Err("it has not one of text and base64".into()),
            },
        },
        other => return Err(format!("there is no event {other:?}")),
    };
    Ok(Step {
        connection: line.connection,
        elapsed: Duration::try_from_secs_f64(line.elapsed).map_err(|e| e.to_string())?,
        act,
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

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
    fn a_chunk_is_text_or_base64_and_is_read_as_it_was() {
        assert_eq!(
            json(&event(b"a\n"), usize::MAX),
            "{\"time\":\"2024-02-29T23:59:59.000005Z\",\"elapsed\":0.001234,\"connection\":1,\"event\":\"data\",\
             \"direction\":\"client-to-server\",\"length\":2,\"text\":\"a\\n\"}\n"
        );
        let binary = json(&event(b"a\xff"), usize::MAX);
        assert!(
            binary.ends_with("\"length\":2,\"base64\":\"Yf8=\"}\n"),
            "{binary}"
        );
        for bytes in [&b"a\n"[..], b"a\xff", b""] {
            let read = step(&json(&event(bytes), usize::MAX)).unwrap();
            assert_eq!(
                read.act,
                Act::Pass {
                    way: Way::Up,
                    bytes: bytes.to_vec(),
                    message: false
                }
            );
        }
        let cut = json(&event(b"abc"), 2);
        assert!(
            cut.ends_with("\"length\":3,\"text\":\"ab\",\"cut\":true}\n"),
            "{cut}"
        );
        assert!(step(&cut).is_err());
        assert!(step("{}").is_err() && step("x").is_err());
    }
}
