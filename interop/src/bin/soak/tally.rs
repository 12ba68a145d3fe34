//! What the parts share: what is sent, what is wrong, and how many have been done.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How many of ours connect at the same time.
pub const CLIENTS: u64 = 2;

/// Nothing here takes so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Most say eight bytes. Every so many say more.
const OFTEN: u64 = 100;
const MUCH: usize = 20_000;

/// How many wrong ones are told one by one, and how many are the end.
const TOLD: u64 = 5;
const TOO_MANY: u64 = 1000;

pub static DONE: AtomicU64 = AtomicU64::new(0);
pub static WRONG: AtomicU64 = AtomicU64::new(0);

/// Which numbers have come, by whoever read them.
pub struct Came(Vec<AtomicU8>);

impl Came {
    pub fn none_of(count: u64) -> Came {
        Came((0..count).map(|_| AtomicU8::new(0)).collect())
    }

    /// What was read is a number and all that was sent with it.
    pub fn take(&self, got: &[u8]) -> Result<()> {
        let at = number(got)?;
        let cell = self.0.get(at as usize).ok_or("a number too high")?;
        cell.fetch_add(1, Ordering::Relaxed);
        same(got, &bytes(at))
    }

    /// Each has come once.
    pub fn all(&self) -> Result<()> {
        let others = self
            .0
            .iter()
            .filter(|cell| cell.load(Ordering::Relaxed) != 1);
        match others.count() {
            0 => Ok(()),
            others => Err(format!("{others} did not come once").into()),
        }
    }
}

/// The next number of each client, which come in the order in which they were sent.
pub struct InOrder(Vec<u64>);

impl InOrder {
    pub fn from_the_first() -> InOrder {
        InOrder((0..CLIENTS).collect())
    }

    pub fn take(&mut self, got: &[u8]) -> Result<()> {
        let at = number(got)?;
        let expected = &mut self.0[(at % CLIENTS) as usize];
        let wanted = std::mem::replace(expected, at + CLIENTS);
        same(got, &bytes(wanted))
    }
}

/// A number, and now and then a good deal behind it.
pub fn bytes(at: u64) -> Vec<u8> {
    let length = if at % OFTEN == 0 { MUCH } else { 8 };
    let number = at.to_le_bytes();
    number.iter().copied().cycle().take(length).collect()
}

pub fn number(bytes: &[u8]) -> Result<u64> {
    let number = bytes.get(..8).ok_or("less than a number came")?;
    Ok(u64::from_le_bytes(number.try_into()?))
}

pub fn same(got: &[u8], wanted: &[u8]) -> Result<()> {
    if got == wanted {
        return Ok(());
    }
    let (got, wanted) = (got.len(), wanted.len());
    Err(format!("{got} bytes came that are not the {wanted} that were sent").into())
}

pub fn check(result: Result<()>) {
    DONE.fetch_add(1, Ordering::Relaxed);
    if let Err(error) = result {
        tell(&error.to_string());
    }
}

pub fn tell(wrong: &str) {
    let before = WRONG.fetch_add(1, Ordering::Relaxed);
    if before < TOLD {
        println!("wrong: {wrong}");
    } else if before == TOO_MANY {
        println!("wrong more than {TOO_MANY} times, the last time: {wrong}");
        std::process::exit(1);
    }
}

/// A name that nobody else has.
pub fn name() -> String {
    format!("npipe-soak-{:x}-{:x}", std::process::id(), random())
}

pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
