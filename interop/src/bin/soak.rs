//! What goes right a thousand times and wrong once in a million: soak [N], `cargo xtask soak` runs it.
//!
//! N clients that write and leave (a million unless said), N streams that are written to and dropped, N/10 closes against
//! accepts, N/100 binds of a name that was just given up; three quarters of the first two on byte pipes, one on message
//! pipes. Each part prints how many there were, how many went wrong, and how long it took. The exit code is 1 if anything
//! went wrong, and a hang is ended as one.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use npipe::{ConnectOptions, ListenOptions, PipeListener, PipeName, PipeStream};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How many of ours connect at the same time.
const THREADS: u64 = 2;

/// Most say eight bytes. Every so many say more.
const OFTEN: u64 = 100;
const MUCH: usize = 20_000;

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many wrong ones are told one by one, and how many are the end.
const TOLD: u64 = 5;
const TOO_MANY: u64 = 1000;

static DONE: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    let count = match std::env::args().nth(1).map(|count| count.parse()) {
        None => 1_000_000,
        Some(Ok(count)) => count,
        Some(Err(error)) => {
            eprintln!("soak [N]: {error}");
            return ExitCode::from(2);
        }
    };
    thread::spawn(end_if_it_hangs);
    let before = descriptors();
    let mut wrong = 0;
    for (what, count, part) in [
        ("clients that write and leave", count, leave as Part),
        ("streams written to and dropped", count, dropped),
        ("closes against accepts", count / 10, closes),
        ("binds of a name just given up", count / 100, rebinds),
    ] {
        let began = Instant::now();
        if let Err(error) = part(count) {
            tell(&format!("{what}: {error}"));
        }
        let here = WRONG.swap(0, Ordering::Relaxed);
        let seconds = began.elapsed().as_secs_f64();
        println!("{count} {what}: {here} wrong, {seconds:.1} s");
        wrong += here;
    }
    // Two of them may be the standard library's own, made on the way.
    if let (Some(before), Some(after)) = (before, descriptors()) {
        println!("descriptors: {before} before, {after} after");
        wrong += u64::from(after > before + 2);
    }
    println!("{wrong} wrong in all");
    ExitCode::from(u8::from(wrong > 0))
}

type Part = fn(u64) -> Result<()>;

/// Three quarters of it on a byte pipe, and one on a message pipe where the system has them.
fn by_mode(count: u64, part: fn(u64, &PipeListener, &str) -> Result<()>) -> Result<()> {
    let name = name();
    let bytes = PipeListener::bind(&name)?;
    part(count - count / 4, &bytes, &name)?;
    drop(bytes);
    let options = ListenOptions::new().message_mode(true);
    match options.bind(&name) {
        Ok(messages) => part(count / 4, &messages, &name),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Every client is delivered, in the order in which it came, with all that it wrote.
fn leave(count: u64) -> Result<()> {
    by_mode(count, |count, listener, name| {
        thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    for at in (thread..count).step_by(THREADS as usize) {
                        let written =
                            connect(name).and_then(|stream| (&stream).write_all(&bytes(at)));
                        check(written.map_err(Into::into));
                    }
                });
            }
            let mut next: Vec<u64> = (0..THREADS).collect();
            for _ in 0..count {
                let got = read_all(&listener.accept_timeout(PATIENCE)?);
                check(got.and_then(|got| {
                    let at = number(&got)?;
                    let expected = &mut next[(at % THREADS) as usize];
                    let wanted = std::mem::replace(expected, at + THREADS);
                    same(&got, &bytes(wanted))
                }));
            }
            Ok(())
        })
    })
}

/// What was written to a stream that is dropped at once arrives.
fn dropped(count: u64) -> Result<()> {
    by_mode(count, |count, listener, name| {
        let came: Vec<AtomicU8> = (0..count).map(|_| AtomicU8::new(0)).collect();
        thread::scope(|scope| -> Result<()> {
            for thread in 0..THREADS {
                let came = &came;
                scope.spawn(move || {
                    for _ in (thread..count).step_by(THREADS as usize) {
                        let got = connect(name)
                            .map_err(Into::into)
                            .and_then(|stream| read_all(&stream));
                        check(got.and_then(|got| {
                            let at = number(&got)?;
                            let cell = came.get(at as usize).ok_or("a number too high")?;
                            cell.fetch_add(1, Ordering::Relaxed);
                            same(&got, &bytes(at))
                        }));
                    }
                });
            }
            for at in 0..count {
                let stream = listener.accept_timeout(PATIENCE)?;
                check((&stream).write_all(&bytes(at)).map_err(Into::into));
            }
            Ok(())
        })?;
        let others = came.iter().filter(|cell| cell.load(Ordering::Relaxed) != 1);
        match others.count() {
            0 => Ok(()),
            others => Err(format!("{others} did not come once").into()),
        }
    })
}

/// A close ends an accept, whenever it comes, and whoever learns of it finds the name free.
fn closes(count: u64) -> Result<()> {
    let name = &name();
    let (give, listeners) = mpsc::channel::<(PipeListener, bool)>();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (listener, takes) in listeners {
                let ended = loop {
                    match listener.accept() {
                        Ok(_client) => {}
                        Err(error) => break error,
                    }
                };
                let mut result = Ok(());
                if ended.kind() != ErrorKind::ConnectionAborted {
                    result = Err(ended.into());
                } else if takes {
                    result = PipeListener::bind(name).map(drop).map_err(Into::into);
                }
                if tell.send(result).is_err() {
                    return;
                }
            }
        });
        for at in 0..count {
            let listener = PipeListener::bind(name)?;
            // Whether the one that accepts is to take the name, or the one that closes.
            let takes = at % 2 == 0;
            give.send((listener.try_clone()?, takes))?;
            let client = (at % 4 == 1).then(|| PipeStream::connect(name));
            for _ in 0..random() % 2000 {
                std::hint::spin_loop();
            }
            listener.close();
            let taken = if takes {
                Ok(())
            } else {
                PipeListener::bind(name).map(drop).map_err(Into::into)
            };
            // One who connects to a listener that is there has a stream.
            let client = client.transpose().map(drop).map_err(Into::into);
            let accepted = told.recv_timeout(PATIENCE)?;
            check(taken.and(client).and(accepted));
        }
        drop(give);
        Ok(())
    })
}

/// A name that was given up can be had again at once, and leads to its new owner.
fn rebinds(count: u64) -> Result<()> {
    let name = name();
    let path = PipeName::new(&name)?.os_path().to_owned();
    for at in 0..count {
        let once = || -> Result<()> {
            let listener = PipeListener::bind(&name)?;
            let client = connect(&name)?;
            let server = listener.accept_timeout(PATIENCE)?;
            (&client).write_all(&at.to_le_bytes())?;
            drop(client);
            same(&read_all(&server)?, &at.to_le_bytes())?;
            drop(server);
            drop(listener);
            if cfg!(unix) && path.exists() {
                return Err("its file is left".into());
            }
            Ok(())
        };
        check(once());
    }
    Ok(())
}

fn connect(name: &str) -> io::Result<PipeStream> {
    ConnectOptions::new().timeout(PATIENCE).connect(name)
}

/// A number, and now and then a good deal behind it.
fn bytes(at: u64) -> Vec<u8> {
    let length = if at % OFTEN == 0 { MUCH } else { 8 };
    let number = at.to_le_bytes();
    number.iter().copied().cycle().take(length).collect()
}

fn number(bytes: &[u8]) -> Result<u64> {
    let number = bytes.get(..8).ok_or("less than a number came")?;
    Ok(u64::from_le_bytes(number.try_into()?))
}

fn same(got: &[u8], wanted: &[u8]) -> Result<()> {
    if got == wanted {
        return Ok(());
    }
    let (got, wanted) = (got.len(), wanted.len());
    Err(format!("{got} bytes came that are not the {wanted} that were sent").into())
}

fn read_all(mut stream: &PipeStream) -> Result<Vec<u8>> {
    let mut all = Vec::with_capacity(16);
    stream.read_to_end(&mut all)?;
    Ok(all)
}

fn check(result: Result<()>) {
    DONE.fetch_add(1, Ordering::Relaxed);
    if let Err(error) = result {
        tell(&error.to_string());
    }
}

fn tell(wrong: &str) {
    let before = WRONG.fetch_add(1, Ordering::Relaxed);
    if before < TOLD {
        println!("wrong: {wrong}");
    } else if before == TOO_MANY {
        println!("wrong more than {TOO_MANY} times, the last time: {wrong}");
        std::process::exit(1);
    }
}

/// A name that nobody else has.
fn name() -> String {
    format!("npipe-soak-{:x}-{:x}", std::process::id(), random())
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// What this process has open, where the system tells.
fn descriptors() -> Option<usize> {
    // Wine shows that directory too, and counts otherwise.
    let open = std::fs::read_dir("/proc/self/fd").ok()?;
    cfg!(target_os = "linux").then(|| open.count())
}

fn end_if_it_hangs() {
    let mut before = u64::MAX;
    let mut since = Instant::now();
    loop {
        thread::sleep(Duration::from_secs(1));
        let done = DONE.load(Ordering::Relaxed);
        if done != before {
            before = done;
            since = Instant::now();
        } else if since.elapsed() > 2 * PATIENCE {
            println!("hangs: nothing for {:?}, after {done}", since.elapsed());
            std::process::exit(1);
        }
    }
}
