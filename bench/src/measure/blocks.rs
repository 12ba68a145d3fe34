//! Subjects in turns: a block of work each, round after round, so that what else the machine does meets all of them alike.

use std::time::Duration;

use anyhow::{Context, Result};

use super::options::Options;
use super::peer::Peer;
use super::place::Placing;
use super::report::{Measured, Quartiles, RowReport};
use super::rows::{Row, Subject, Work};

/// What a client is told to do in one turn.
#[derive(Clone, Copy, Debug)]
struct Block {
    work: Work,
    /// How many pieces it is made of.
    count: u64,
    quick: bool,
}

impl Block {
    fn command(&self) -> String {
        let count = self.count;
        match self.work {
            Work::Trips(size) => format!("trip {size} {count}"),
            Work::Writes(size) => format!("write {size} {count}"),
            Work::Connects => format!("connect {count}"),
            Work::Storm if self.quick => format!("storm 10 {count}"),
            Work::Storm => format!("storm 200 {count}"),
        }
    }
}

/// One that takes part, with all that it did.
struct Entrant {
    subject: Subject,
    peer: Peer,
    block: Block,
    /// Nanoseconds a piece, round by round.
    times: Vec<f64>,
    /// The median and the 99th percentile of a storm's connects.
    connects: Vec<[u64; 2]>,
}

impl Entrant {
    fn turn(&mut self) -> Result<f64> {
        let answer = self.peer.ask(&self.block.command())?;
        if let [_, median, worst] = answer[..] {
            self.connects.push([median, worst]);
        }
        let nanos = answer.first().context("an answer without a time")?;
        Ok(*nanos as f64 / self.block.count as f64)
    }

    /// Finds out how much is a block of the time that it is to take, and warms up meanwhile.
    fn calibrate(&mut self, block: Duration) -> Result<()> {
        if self.block.work == Work::Storm {
            // As a burst comes: five rounds, of which the first meets threads and instances that are not there yet.
            self.block.count = if self.block.quick { 1 } else { 5 };
            self.turn()?;
        } else {
            let wanted = block.as_nanos() as f64;
            self.block.count = 1;
            loop {
                let piece = self.turn()?.max(1.0);
                let took = piece * self.block.count as f64;
                let enough = took >= wanted / 2.0;
                let next = (wanted / piece).clamp(1.0, self.block.count as f64 * 10.0);
                self.block.count = next as u64;
                if enough {
                    break;
                }
            }
        }
        self.connects.clear();
        Ok(())
    }
}

/// Measures a row, or nothing where this system has nobody for it.
pub fn row(row: &Row, place: Placing, options: &Options) -> Result<Option<RowReport>> {
    // A storm is many threads: where they run is the system's to say.
    let place = match (row.work, place) {
        (Work::Storm, Placing::Two) => Placing::Free,
        (_, place) => place,
    };
    let foreign: Vec<&str> = options.peers.iter().map(|it| it.name.as_str()).collect();
    let Some(subjects) = row.subjects(&foreign, options.only.as_deref()) else {
        return Ok(None);
    };
    let mut entrants = Vec::new();
    for subject in subjects {
        // Two that spin on one core only wait for their time slices to end.
        let spins = ["busy", "spins"]
            .iter()
            .any(|it| subject.program.contains(it));
        if place == Placing::One && spins {
            continue;
        }
        let mut entrant = Entrant {
            peer: Peer::start(&subject, place, options)?,
            subject,
            block: Block {
                work: row.work,
                count: 1,
                quick: options.quick,
            },
            times: Vec::new(),
            connects: Vec::new(),
        };
        entrant.calibrate(options.block)?;
        entrants.push(entrant);
    }
    // The first round is warm-up too: the caches are another's.
    for round in 0..=options.rounds {
        let mut order: Vec<usize> = (0..entrants.len()).collect();
        // There and back again, so that nobody is always behind the same one.
        if round % 2 == 1 {
            order.reverse();
        }
        for at in order {
            let time = entrants[at].turn()?;
            if round > 0 {
                entrants[at].times.push(time);
            } else {
                entrants[at].connects.clear();
            }
        }
    }
    let real_time = options.real_time && place == Placing::Two;
    Ok(Some(report(row, place, real_time, &entrants)))
}

fn report(row: &Row, place: Placing, real_time: bool, entrants: &[Entrant]) -> RowReport {
    let floor = &entrants[0];
    let subjects = entrants
        .iter()
        .map(|entrant| {
            // Each round's own ratio: the two blocks were done within the same second.
            let ratios = entrant
                .times
                .iter()
                .zip(&floor.times)
                .map(|(its, floors)| its / floors);
            // What is beside idle connections is compared with itself alone.
            let own = entrant
                .subject
                .name
                .split_once('@')
                .and_then(|(alone, _)| entrants.iter().find(|it| it.subject.name == alone));
            let own = own.map(|alone| {
                Quartiles::of(
                    entrant
                        .times
                        .iter()
                        .zip(&alone.times)
                        .map(|(its, own)| its / own),
                )
            });
            let middle = |which: usize| {
                let mut all: Vec<u64> = entrant.connects.iter().map(|it| it[which]).collect();
                all.sort_unstable();
                crate::figures::percentile(&all, 0.5)
            };
            Measured {
                subject: entrant.subject.name.clone(),
                nanoseconds: Quartiles::of(entrant.times.iter().copied()),
                ratio: Quartiles::of(ratios),
                ratio_to_itself_alone: own,
                connect_p50: (!entrant.connects.is_empty()).then(|| middle(0)),
                connect_p99: (!entrant.connects.is_empty()).then(|| middle(1)),
                block: entrant.block.count,
                all: entrant.times.clone(),
            }
        })
        .collect();
    RowReport {
        row: row.name.to_owned(),
        title: row.title.to_owned(),
        place: place.name().to_owned(),
        real_time,
        bytes: match row.work {
            Work::Writes(size) => Some(size),
            _ => None,
        },
        floor: floor.subject.name.clone(),
        rounds: floor.times.len(),
        subjects,
    }
}
