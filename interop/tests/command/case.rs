//! One connection between `npipe` and a peer, step by step.

use std::io::Write;
use std::thread::{self, JoinHandle};

use npipe_interop::{Peer, pattern, watchdog};

use crate::npipe::Npipe;
use crate::who::{HALF_CLOSE, Side, Who};

/// What the two are told, and what is then to be seen.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What `npipe` is: a client, a server, or one after the other.
    pub sides: &'static [Side],
    /// What the peer does.
    pub peer: &'static [&'static str],
    /// Whether it reads and writes at once.
    pub duplex: bool,
    /// Whether it has buffers, as a server.
    pub buffers: bool,
    pub options: &'static [&'static str],
    pub steps: &'static [Step],
}

/// What most cases have.
pub const CASE: Case = Case {
    sides: &[Side::Connect, Side::Listen],
    peer: &[],
    duplex: false,
    buffers: false,
    options: &[],
    steps: &[],
};

#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// npipe is given a line.
    Type(&'static str),
    /// npipe is given so many bytes of the pattern, and no end.
    Give(usize),
    /// npipe is given so many bytes of the pattern and then the end, while the case goes on.
    Feed(usize),
    /// npipe is given bytes until it takes no more, while the case goes on.
    Flood,
    /// npipe prints this line; "" is its end.
    Prints(&'static str),
    /// npipe prints so many bytes of the pattern.
    Reads(usize),
    /// npipe has not ended.
    Runs,
    /// npipe ends well, and has printed no more.
    Ends,
    /// npipe ends with this code, and a single remark that has this in it.
    Fails(i32, &'static str),
    /// The peer says this line.
    Says(&'static str),
    /// The peer says this line, where there is a half close.
    SaysOnHalfClose(&'static str),
    /// The peer goes on from its pause.
    Go,
    Kill,
    /// The peer ends well, and has said these among its last lines.
    Finishes(&'static [&'static str]),
}

impl Case {
    #[track_caller]
    pub fn play(&self, who: Who) {
        let _watchdog = watchdog();
        for side in self.sides {
            let duplex = if self.duplex { who.duplex() } else { &[] };
            // They are the server's.
            let buffers = if self.buffers && *side == Side::Connect {
                who.buffers()
            } else {
                &[]
            };
            let words = [duplex, buffers, self.peer].concat();
            let (peer, npipe) = side.start(who, &words, self.options);
            let mut play = Play {
                peer: Some(peer),
                npipe: Some(npipe),
                feeding: Vec::new(),
            };
            for (at, step) in self.steps.iter().enumerate() {
                println!("{who:?}, {side:?}, step {}: {step:?}", at + 1);
                play.step(*step);
            }
            for feeding in play.feeding {
                feeding.join().unwrap();
            }
        }
    }
}

/// Either is gone once it has ended.
struct Play {
    peer: Option<Peer>,
    npipe: Option<Npipe>,
    feeding: Vec<JoinHandle<()>>,
}

impl Play {
    fn step(&mut self, step: Step) {
        match step {
            Step::Type(line) => self.npipe().write(format!("{line}\n").as_bytes()),
            Step::Give(count) => self.npipe().write(&pattern(count)),
            Step::Feed(count) => {
                let feeding = self.npipe().feed(count);
                self.feeding.push(feeding);
            }
            Step::Flood => {
                let mut stdin = self.npipe().stdin.take().unwrap();
                self.feeding.push(thread::spawn(move || {
                    while stdin.write_all(&pattern(65_536)).is_ok() {}
                }));
            }
            Step::Prints(line) => assert_eq!(self.npipe().line(), line),
            Step::Reads(count) => self.npipe().expect_pattern(count),
            Step::Runs => assert!(self.npipe().is_running()),
            Step::Ends => self.npipe.take().expect("it has not ended").end_of_output(),
            Step::Fails(code, remark) => {
                let ended = self.npipe.take().expect("it has not ended").end();
                assert_eq!(ended.remarks.len(), 1, "{ended:?}");
                assert!(ended.remarks[0].contains(remark), "{ended:?}");
                ended.code(code);
            }
            Step::Says(line) => self.peer().expect(line),
            Step::SaysOnHalfClose(line) => {
                if HALF_CLOSE {
                    self.peer().expect(line);
                }
            }
            Step::Go => self.peer().go(),
            Step::Kill => self.peer().kill(),
            Step::Finishes(lines) => {
                let said = self.peer.take().expect("it has not ended").finish();
                for line in lines {
                    assert!(said.iter().any(|said| said == line), "{line}: {said:?}");
                }
            }
        }
    }

    fn npipe(&mut self) -> &mut Npipe {
        self.npipe.as_mut().expect("it has not ended")
    }

    fn peer(&mut self) -> &mut Peer {
        self.peer.as_mut().expect("it has not ended")
    }
}
