//! HTTP/1: requests and answers, rather than the chunks that they come in. What is no HTTP is shown as text.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use super::event::{Event, What};
use super::text::{self, count, direction, escape, heading};
use crate::couple::Way;

/// Longer heads than this are no heads.
const LONGEST_HEAD: usize = 256 * 1024;
const MOST_HEADERS: usize = 256;

/// Bodies are shown so far unless `--bytes` says otherwise.
const SHOWN: usize = 4096;

pub struct Http {
    most: usize,
    color: bool,
    connections: HashMap<u64, Connection>,
}

#[derive(Default)]
struct Connection {
    up: Side,
    down: Side,
    /// What was asked and is not answered yet: the method, and when.
    asked: VecDeque<(String, Duration)>,
}

#[derive(Default)]
struct Side {
    bytes: Vec<u8>,
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Head,
    Body(Body),
    /// No HTTP, or no longer: an upgrade.
    Raw,
}

/// A body on its way.
struct Body {
    /// What was said before it.
    head: String,
    length: Length,
    /// Of what came, as much as is shown.
    shown: Vec<u8>,
    total: usize,
    is_text: bool,
}

enum Length {
    /// So much is left.
    Of(usize),
    Chunked,
    UntilEnd,
}

impl Http {
    pub fn new(most: usize, color: bool) -> Http {
        Http {
            most: if most == usize::MAX { SHOWN } else { most },
            color,
            connections: HashMap::new(),
        }
    }

    pub fn show(&mut self, event: &Event) -> String {
        let (most, color) = (self.most, self.color);
        match &event.what {
            What::Open | What::Shown(_) => text::text(event, most, color),
            What::Close => {
                let connection = self.connections.remove(&event.connection);
                let mut shown = String::new();
                for (way, side) in connection.into_iter().flat_map(Connection::sides) {
                    side.give_up(event, way, most, color, &mut shown);
                }
                shown + &text::text(event, most, color)
            }
            What::End(way) => {
                let mut shown = String::new();
                if let Some(connection) = self.connections.get_mut(&event.connection) {
                    let side = std::mem::take(connection.side(*way));
                    side.give_up(event, *way, most, color, &mut shown);
                }
                shown + &text::text(event, most, color)
            }
            What::Data(way, bytes) | What::Message(way, bytes) => {
                let connection = self.connections.entry(event.connection).or_default();
                let side = connection.side(*way);
                if matches!(side.state, State::Raw) {
                    return text::text(event, most, color);
                }
                side.bytes.extend_from_slice(bytes);
                let mut shown = String::new();
                while connection.advance(event, *way, most, color, &mut shown) {}
                shown
            }
        }
    }
}

impl Connection {
    fn side(&mut self, way: Way) -> &mut Side {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    fn sides(self) -> [(Way, Side); 2] {
        [(Way::Up, self.up), (Way::Down, self.down)]
    }

    /// Takes the next piece of what has come. False: there is none that is whole.
    fn advance(
        &mut self,
        event: &Event,
        way: Way,
        most: usize,
        color: bool,
        shown: &mut String,
    ) -> bool {
        let asked = self.asked.front().cloned();
        let side = self.side(way);
        match &mut side.state {
            State::Raw => false,
            State::Head if side.bytes.is_empty() => false,
            State::Head => match Head::parse(way, &side.bytes, asked.as_ref()) {
                Parsed::Part if side.bytes.len() < LONGEST_HEAD => false,
                Parsed::Part | Parsed::NotHttp => {
                    let bytes = std::mem::take(&mut side.bytes);
                    side.state = State::Raw;
                    raw(event, way, &bytes, most, color, shown);
                    false
                }
                Parsed::Head(head) => {
                    side.bytes.drain(..head.length);
                    match way {
                        Way::Up => {
                            self.asked.push_back((head.method, event.elapsed));
                        }
                        // 1xx comes before the answer, and is none.
                        Way::Down if !head.interim => drop(self.asked.pop_front()),
                        Way::Down => {}
                    }
                    let took = asked
                        .filter(|_| way == Way::Down)
                        .map(|(_, when)| event.elapsed.saturating_sub(when))
                        .map(|took| format!("  after {:.1} ms", took.as_secs_f64() * 1e3))
                        .unwrap_or_default();
                    let line = format!("{}  {}{took}", direction(way), head.line);
                    let said = heading(event, color, &line) + "\n" + &head.headers;
                    match head.body {
                        None => {
                            *shown += &said;
                            if head.upgrade {
                                self.up.state = State::Raw;
                                self.down.state = State::Raw;
                            }
                        }
                        Some(length) => {
                            self.side(way).state = State::Body(Body {
                                head: said,
                                length,
                                shown: Vec::new(),
                                total: 0,
                                is_text: head.is_text,
                            });
                        }
                    }
                    true
                }
            },
            State::Body(body) => match body.take(&mut side.bytes, most) {
                Some(true) => {
                    *shown += &body.told(most);
                    side.state = State::Head;
                    true
                }
                Some(false) => false,
                None => {
                    *shown += &body.told(most);
                    let bytes = std::mem::take(&mut side.bytes);
                    side.state = State::Raw;
                    raw(event, way, &bytes, most, color, shown);
                    false
                }
            },
        }
    }
}

impl Side {
    /// Nothing more comes.
    fn give_up(self, event: &Event, way: Way, most: usize, color: bool, shown: &mut String) {
        match self.state {
            State::Body(body) => {
                *shown += &body.told(most);
                if !matches!(body.length, Length::UntilEnd) {
                    *shown += "  (cut off)\n";
                }
            }
            State::Head | State::Raw => raw(event, way, &self.bytes, most, color, shown),
        }
    }
}

fn raw(event: &Event, way: Way, bytes: &[u8], most: usize, color: bool, shown: &mut String) {
    if bytes.is_empty() {
        return;
    }
    let chunk = Event {
        what: What::Data(way, bytes.to_vec()),
        ..*event
    };
    *shown += &text::text(&chunk, most, color);
}

impl Body {
    /// Takes what there is of it. True is the end of it, None that it is not what it should be.
    fn take(&mut self, bytes: &mut Vec<u8>, most: usize) -> Option<bool> {
        match &mut self.length {
            Length::Of(left) => {
                let length = bytes.len().min(*left);
                *left -= length;
                let done = *left == 0;
                self.keep(bytes.drain(..length).as_slice().to_vec(), most);
                Some(done)
            }
            Length::UntilEnd => {
                self.keep(std::mem::take(bytes), most);
                Some(false)
            }
            Length::Chunked => loop {
                let (at, size) = match httparse::parse_chunk_size(bytes) {
                    Ok(httparse::Status::Complete((at, size))) => (at, usize::try_from(size).ok()?),
                    Ok(httparse::Status::Partial) => return Some(false),
                    Err(_) => return None,
                };
                if size == 0 {
                    // What follows is a trailer, which almost nobody sends, and an empty line.
                    let rest = &bytes[at..];
                    if rest.starts_with(b"\r\n") {
                        bytes.drain(..at + 2);
                        return Some(true);
                    }
                    let end = rest.windows(4).position(|window| window == b"\r\n\r\n");
                    let Some(end) = end else {
                        return Some(false);
                    };
                    bytes.drain(..at + end + 4);
                    return Some(true);
                }
                let end = at.checked_add(size)?.checked_add(2)?;
                if bytes.len() < end {
                    return Some(false);
                }
                self.keep(bytes[at..at + size].to_vec(), most);
                bytes.drain(..end);
            },
        }
    }

    fn keep(&mut self, bytes: Vec<u8>, most: usize) {
        self.total += bytes.len();
        let room = most.saturating_sub(self.shown.len());
        self.shown
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn told(&self, most: usize) -> String {
        let mut told = self.head.clone();
        if self.total == 0 {
            return told;
        }
        let _ = writeln!(told, "  ({})", count(self.total, "byte"));
        if !self.is_text && std::str::from_utf8(&self.shown).is_err() {
            return told;
        }
        let mut body = String::new();
        escape(&mut body, &self.shown, true);
        for line in body.lines() {
            let _ = writeln!(told, "  {line}");
        }
        if self.total > most {
            let _ = writeln!(told, "  and {} more", count(self.total - most, "byte"));
        }
        told
    }
}

struct Head {
    length: usize,
    line: String,
    headers: String,
    method: String,
    interim: bool,
    upgrade: bool,
    is_text: bool,
    body: Option<Length>,
}

enum Parsed {
    Head(Head),
    Part,
    NotHttp,
}

impl Head {
    fn parse(way: Way, bytes: &[u8], asked: Option<&(String, Duration)>) -> Parsed {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let (length, line, method, status) = match way {
            Way::Up => {
                let mut request = httparse::Request::new(&mut headers);
                match request.parse(bytes) {
                    Ok(httparse::Status::Complete(length)) => {
                        let method = request.method.unwrap_or_default().to_owned();
                        let path = request.path.unwrap_or_default();
                        let line =
                            format!("{method} {path} HTTP/1.{}", request.version.unwrap_or(1));
                        (length, line, method, None)
                    }
                    Ok(httparse::Status::Partial) => return Parsed::Part,
                    Err(_) => return Parsed::NotHttp,
                }
            }
            Way::Down => {
                let mut response = httparse::Response::new(&mut headers);
                match response.parse(bytes) {
                    Ok(httparse::Status::Complete(length)) => {
                        let code = response.code.unwrap_or(0);
                        let line = format!(
                            "HTTP/1.{} {code} {}",
                            response.version.unwrap_or(1),
                            response.reason.unwrap_or_default()
                        );
                        (
                            length,
                            line.trim_end().to_owned(),
                            String::new(),
                            Some(code),
                        )
                    }
                    Ok(httparse::Status::Partial) => return Parsed::Part,
                    Err(_) => return Parsed::NotHttp,
                }
            }
        };
        let headers = headers.iter().take_while(|header| !header.name.is_empty());
        let mut shown = String::new();
        let (mut size, mut chunked, mut is_text) = (None, false, false);
        for header in headers {
            let _ = write!(shown, "  {}: ", header.name);
            escape(&mut shown, header.value, true);
            shown.push('\n');
            let value = String::from_utf8_lossy(header.value).to_ascii_lowercase();
            match header.name.to_ascii_lowercase().as_str() {
                "content-length" => size = value.trim().parse().ok(),
                "transfer-encoding" => chunked = value.contains("chunked"),
                "content-type" => {
                    is_text = ["text/", "json", "xml", "urlencoded", "javascript"]
                        .iter()
                        .any(|kind| value.contains(kind));
                }
                _ => {}
            }
        }
        let upgrade = status == Some(101)
            || status == Some(200) && asked.is_some_and(|(method, _)| method == "CONNECT");
        let interim = status.is_some_and(|code| (100..200).contains(&code) && code != 101);
        let none = upgrade
            || interim
            || matches!(status, Some(204 | 304))
            || status.is_some() && asked.is_some_and(|(method, _)| method == "HEAD");
        let body = match (none, chunked, size) {
            (true, ..) | (_, false, Some(0)) => None,
            (_, true, _) => Some(Length::Chunked),
            (_, false, Some(size)) => Some(Length::Of(size)),
            // A request without a length has no body, an answer goes on to the end.
            (_, false, None) => status.map(|_| Length::UntilEnd),
        };
        Parsed::Head(Head {
            length,
            line: text_of(&line),
            headers: shown,
            method,
            interim,
            upgrade,
            is_text,
            body,
        })
    }
}

fn text_of(line: &str) -> String {
    let mut shown = String::new();
    escape(&mut shown, line.as_bytes(), true);
    shown
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn show(parts: &[(Way, &str)]) -> String {
        let mut http = Http::new(usize::MAX, false);
        let event = |what| Event {
            connection: 1,
            elapsed: Duration::ZERO,
            time: UNIX_EPOCH,
            what,
        };
        let mut shown = String::new();
        for (way, part) in parts {
            shown += &http.show(&event(What::Data(*way, part.as_bytes().to_vec())));
        }
        shown += &http.show(&event(What::Close));
        shown.replace("00:00:00.000000Z    0.000000  #1  ", "")
    }

    #[test]
    fn requests_and_answers_in_pieces_of_any_size() {
        let request = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
                      4\r\n{\"a\"\r\n5;x=y\r\n: 1}\n\r\n0\r\n\r\n";
        let wanted = "client -> server  POST /x HTTP/1.1\n  Host: a\n  Content-Length: 5\n  (5 bytes)\n  hello\n\
                      client <- server  HTTP/1.1 200 OK  after 0.0 ms\n  Content-Type: application/json\n  \
                      Transfer-Encoding: chunked\n  (9 bytes)\n  {\"a\": 1}\nclosed\n";
        for size in [1, 2, 3, 7, 1000] {
            let mut parts = Vec::new();
            for (way, text) in [(Way::Up, request), (Way::Down, answer)] {
                let bytes = text.as_bytes().chunks(size);
                parts.extend(bytes.map(|part| (way, std::str::from_utf8(part).unwrap())));
            }
            assert_eq!(show(&parts), wanted, "{size}");
        }
    }

    #[test]
    fn what_has_no_body_what_is_cut_off_and_what_is_no_http() {
        let shown = show(&[
            (Way::Up, "HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
            (Way::Down, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            (Way::Down, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
        ]);
        assert!(
            shown.ends_with("  (3 bytes)\n  abc\n  (cut off)\nclosed\n"),
            "{shown}"
        );
        let shown = show(&[(Way::Up, "\u{1b}hello\n"), (Way::Up, "more\n")]);
        assert!(shown.contains("\"\\u{1b}hello\\n\"\n"), "{shown}");
        assert!(shown.contains("\"more\\n\"\n"), "{shown}");
        let shown = show(&[
            (Way::Up, "GET / HTTP/1.1\r\nUpgrade: tcp\r\n\r\n"),
            (Way::Down, "HTTP/1.1 101 UPGRADED\r\n\r\n"),
            (Way::Up, "raw\n"),
        ]);
        assert!(shown.contains("\"raw\\n\"\n"), "{shown}");
    }
}
