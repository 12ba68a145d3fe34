//! What happens to a connection that is tapped.

use std::sync::mpsc::SyncSender;
use std::time::{Duration, SystemTime};

use crate::couple::Way;

#[derive(Debug)]
pub struct Event {
    pub connection: u64,
    pub elapsed: Duration,
    pub time: SystemTime,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    Open,
    Data(Way, Vec<u8>),
    Message(Way, Vec<u8>),
    End(Way),
    Close,
    /// Nothing to show: tells when all before it has been.
    Shown(SyncSender<()>),
}

impl Event {
    /// What passes, and which way.
    pub fn bytes(&self) -> Option<(Way, &[u8])> {
        match &self.what {
            What::Data(way, bytes) | What::Message(way, bytes) => Some((*way, bytes)),
            _ => None,
        }
    }
}

/// What is shown of all that happens.
#[derive(Debug, Default)]
pub struct Filter {
    pub way: Option<Way>,
    /// What is in it. Where this is asked for, only what has it is shown at all.
    pub part: Option<Vec<u8>>,
}

impl Filter {
    pub fn wants(&self, event: &Event) -> bool {
        let way = match &event.what {
            What::Data(way, _) | What::Message(way, _) | What::End(way) => Some(*way),
            _ => None,
        };
        if way.is_some() && self.way.is_some() && way != self.way {
            return false;
        }
        let Some(part) = &self.part else {
            return true;
        };
        event.bytes().is_some_and(|(_, bytes)| {
            part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_shown() {
        let event = |what| Event {
            connection: 1,
            elapsed: Duration::ZERO,
            time: SystemTime::now(),
            what,
        };
        let filter = |way, part: Option<&str>| Filter {
            way,
            part: part.map(|part| part.as_bytes().to_vec()),
        };
        let up = event(What::Data(Way::Up, b"an error here".to_vec()));
        assert!(filter(None, None).wants(&up));
        assert!(filter(Some(Way::Up), Some("error")).wants(&up));
        assert!(!filter(Some(Way::Down), None).wants(&up));
        assert!(!filter(None, Some("Error")).wants(&up));
        let open = event(What::Open);
        assert!(filter(Some(Way::Down), None).wants(&open));
        assert!(!filter(None, Some("error")).wants(&open));
    }
}
