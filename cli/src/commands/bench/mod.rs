//! `npipe bench`: round trips, connects and throughput between two processes.

mod figures;
mod plot;
mod results;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use npipe::{ConnectOptions, ListenOptions, PipeError, PipeName, PipeStream, Reason};

use figures::{bytes, time};
use results::{Results, Throughput, Times};

use crate::address::pipe_name;
use crate::failure::{self, Failure};
use crate::options;
use crate::say;
use crate::sibling::{self, Sibling};
use crate::signals::Guarded;
use crate::stdout::print;
use crate::threads::STACK;

const EXAMPLES: &str = r"Examples:
  npipe bench
  npipe bench --json > before.json
  npipe bench --size 1k --busy-poll 50us --plot bench.svg
  npipe bench mypipe                 somebody else's server, which must echo

Each measure runs for --time between this process and a server process. Times
are of the whole: a round trip is a write here, an echo there and a read here.

JSON: version, os, arch, cores, pipe; round_trip and connect, each with size
(bytes), count, per_second, and in ns mean, min, p50, p90, p99, p99_9, max;
throughput, but for a NAME, with block (bytes), to_server_bytes_per_second and
to_client_bytes_per_second.";

/// Measure round trips, connects and throughput
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Bench {
    /// An echo server to measure instead of our own
    #[arg(value_parser = pipe_name())]
    name: Option<OsString>,

    /// How long each measure takes
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, default_value = "2s", value_parser = options::duration)]
    time: Duration,

    /// Bytes of a round trip
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, default_value = "64", value_parser = options::bytes)]
    size: usize,

    /// Bytes of a write for throughput
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, default_value = "64k", value_parser = options::bytes)]
    block: usize,

    /// Let both sides spin this long before they block
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = options::duration)]
    busy_poll: Option<Duration>,

    /// Print the results as JSON
    #[arg(long)]
    json: bool,

    /// Draw the results, as SVG
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// The other process of `npipe bench`
#[derive(Debug, Args)]
#[command(hide = true)]
pub struct BenchServer {
    name: String,

    #[arg(long, value_parser = options::duration)]
    busy_poll: Option<Duration>,
}

/// What a client of our own server wants, in its first byte.
const ECHO: u8 = b'e';
/// Reads eight bytes of a length, then so many bytes, and answers with one.
const SINK: u8 = b's';
/// Reads eight bytes of a length, and answers with so many bytes.
const SOURCE: u8 = b'd';

/// How much is measured before anything counts.
const WARM_UP: Duration = Duration::from_millis(100);

/// What is sent and what comes back are in memory, as a whole.
const LARGEST: usize = 1 << 30;

/// How long an answer may take before it is no echo server.
const ANSWER: Duration = Duration::from_secs(5);

impl Bench {
    pub fn run(self) -> failure::Result {
        if self.size == 0 || self.block == 0 || self.time.is_zero() {
            return Err(Failure::usage(
                "bench: --size, --block and --time must be more than 0",
            ));
        }
        if self.size > LARGEST || self.block > LARGEST {
            return Err(Failure::usage(
                "bench: --size and --block are 1G at the most",
            ));
        }
        // Opened now, so that no measurement is wasted.
        let plot = match &self.plot {
            Some(path) => Some((
                path,
                File::create(path).map_err(|e| Failure::file(path, &e))?,
            )),
            None => None,
        };
        let server = match &self.name {
            Some(_) => None,
            None => Some(Server::start(self.busy_poll)?),
        };
        let name = match (&self.name, &server) {
            (Some(name), _) => name.as_os_str(),
            (None, Some(server)) => OsStr::new(&server.name),
            (None, None) => return Err(Failure::usage("bench: there is no server")),
        };
        let pipe = PipeName::new(name)
            .map_err(|e| Failure::pipe(&e))?
            .to_string();
        let ours = server.is_some();
        let table = !self.json;
        if table {
            let whose = if ours {
                "a server of our own"
            } else {
                "its own server"
            };
            line(&format!(
                "{pipe}, {whose}; {} {}, {} cores\n\n{:<23}{:>12}{:>9}{:>9}{:>9}{:>9}{:>9}",
                std::env::consts::OS,
                std::env::consts::ARCH,
                cores(),
                "",
                "per second",
                "min",
                "p50",
                "p90",
                "p99",
                "p99.9",
            ))?;
        }
        let round_trip = self.round_trips(name, ours)?;
        if table {
            row(
                &round_trip,
                &format!("round trip, {}", bytes(self.size as f64)),
            )?;
        }
        let connect = self.connects(name, ours)?;
        if table {
            row(
                &connect,
                if ours {
                    "connect, answer, close"
                } else {
                    "connect, close"
                },
            )?;
        }
        let throughput = ours.then(|| self.throughput(name)).transpose()?;
        if let (true, Some(throughput)) = (table, &throughput) {
            let with = format!("{} a write", bytes(self.block as f64));
            line(&format!(
                "\nclient to server {:>20}/s  {with}\nserver to client {:>20}/s  {with}",
                bytes(throughput.to_server_bytes_per_second),
                bytes(throughput.to_client_bytes_per_second),
            ))?;
        }
        let results = Results {
            version: env!("CARGO_PKG_VERSION"),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            cores: cores(),
            pipe,
            round_trip,
            connect,
            throughput,
        };
        if self.json {
            let json = serde_json::to_string_pretty(&results)
                .map_err(|e| Failure::new(failure::IO, format!("write JSON: {e}")))?;
            line(&json)?;
        }
        if let Some((path, mut file)) = plot {
            file.write_all(plot::svg(&results).as_bytes())
                .map_err(|e| Failure::file(path, &e))?;
            say::note(format_args!("drawn in {}", path.display()));
        }
        Ok(())
    }

    fn connect(&self, name: &OsStr) -> failure::Result<PipeStream> {
        let stream = ConnectOptions::new()
            .connect(name)
            .map_err(|e| match PipeError::of(&e).map(PipeError::reason) {
                Some(Reason::NoSuchPipe | Reason::StaleSocket) => Failure::new(
                    failure::NO_SUCH_PIPE,
                    format!(
                        "bench {0}: no such pipe; start a server that echoes, such as `npipe listen --echo {0}`",
                        name.to_string_lossy()
                    ),
                ),
                _ => Failure::pipe(&e),
            })?;
        let set = || {
            stream.set_busy_poll(self.busy_poll)?;
            stream.set_read_timeout(Some(ANSWER))
        };
        set().map_err(|e| Failure::pipe(&e))?;
        Ok(stream)
    }

    fn round_trips(&self, name: &OsStr, ours: bool) -> failure::Result<Times> {
        let stream = self.connect(name)?;
        let run = || -> io::Result<Times> {
            if ours {
                (&stream).write_all(&[ECHO])?;
            }
            let (ping, mut pong) = (vec![b'x'; self.size], vec![0; self.size]);
            self.measure(self.size, || {
                // Together, since a message larger than all buffers would wait for its own echo otherwise.
                exchange(&stream, &ping, &mut pong)
            })
        };
        run().map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::UnexpectedEof if !ours => Failure::new(
                failure::IO,
                format!("bench {name}: its server does not echo; start one that does, such as `npipe listen --echo {name}`", name = name.to_string_lossy()),
            ),
            _ => Failure::pipe(&error),
        })
    }

    fn connects(&self, name: &OsStr, ours: bool) -> failure::Result<Times> {
        let run = || {
            self.measure(usize::from(ours), || {
                let stream = ConnectOptions::new().connect(name)?;
                if ours {
                    (&stream).write_all(&[ECHO, ECHO])?;
                    (&stream).read_exact(&mut [0])?;
                }
                Ok(())
            })
        };
        run().map_err(|e| Failure::pipe(&e))
    }

    /// Runs `once` for the time that was asked for.
    fn measure(&self, size: usize, mut once: impl FnMut() -> io::Result<()>) -> io::Result<Times> {
        let warm = Instant::now();
        while warm.elapsed() < WARM_UP.min(self.time) {
            once()?;
        }
        let mut all = Vec::new();
        let began = Instant::now();
        let mut before = began;
        while before.duration_since(began) < self.time {
            once()?;
            let now = Instant::now();
            all.push(u64::try_from(now.duration_since(before).as_nanos()).unwrap_or(u64::MAX));
            before = now;
        }
        Ok(Times::of(size, all, before.duration_since(began)))
    }

    fn throughput(&self, name: &OsStr) -> failure::Result<Throughput> {
        let measure = |kind| {
            // As much as takes about as long as was asked for, by a first try with little.
            let mut length = 16 << 20;
            loop {
                let took = self.transfer(name, kind, length)?.as_secs_f64().max(1e-6);
                let rate = length as f64 / took;
                if took >= self.time.as_secs_f64() / 2.0 {
                    return Ok(rate);
                }
                length = (rate * self.time.as_secs_f64() * 1.1) as u64 + 1;
            }
        };
        Ok(Throughput {
            block: self.block,
            to_server_bytes_per_second: measure(SINK)?,
            to_client_bytes_per_second: measure(SOURCE)?,
        })
    }

    fn transfer(&self, name: &OsStr, kind: u8, length: u64) -> failure::Result<Duration> {
        let stream = self.connect(name)?;
        let run = || -> io::Result<Duration> {
            (&stream).write_all(&[kind])?;
            let began = Instant::now();
            (&stream).write_all(&length.to_le_bytes())?;
            (&stream).write_all(&(self.block as u64).to_le_bytes())?;
            if kind == SINK {
                send(&stream, length, self.block)?;
                (&stream).read_exact(&mut [0])?;
            } else {
                receive(&stream, length, self.block)?;
            }
            Ok(began.elapsed())
        };
        run().map_err(|e| Failure::pipe(&e))
    }
}

/// A write and the read of as much. What does not fit into the buffers on the way is written beside the reading.
fn exchange(stream: &PipeStream, ping: &[u8], pong: &mut [u8]) -> io::Result<()> {
    const FITS: usize = 32 * 1024;
    let (mut writer, mut reader) = (stream, stream);
    if ping.len() <= FITS {
        writer.write_all(ping)?;
        return reader.read_exact(pong);
    }
    thread::scope(|scope| {
        let writing = scope.spawn(move || writer.write_all(ping));
        reader.read_exact(pong)?;
        writing
            .join()
            .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    })
}

fn send(mut stream: &PipeStream, length: u64, block: usize) -> io::Result<()> {
    let buffer = vec![b'x'; block];
    let mut left = length;
    while left > 0 {
        let step = left.min(block as u64);
        stream.write_all(&buffer[..step as usize])?;
        left -= step;
    }
    Ok(())
}

fn receive(mut stream: &PipeStream, length: u64, block: usize) -> io::Result<()> {
    let mut buffer = vec![0; block];
    let mut left = length;
    while left > 0 {
        let step = left.min(block as u64);
        match stream.read(&mut buffer[..step as usize])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => left -= read as u64,
        }
    }
    Ok(())
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

fn line(text: &str) -> failure::Result {
    print(format!("{text}\n"))
}

fn row(times: &Times, what: &str) -> failure::Result {
    let mut row = format!("{what:<23}{:>12.0}", times.per_second);
    for nanos in [times.min, times.p50, times.p90, times.p99, times.p99_9] {
        row.push_str(&format!("{:>9}", time(nanos)));
    }
    line(&row)
}

/// The server's process. Dropped, it is ended.
struct Server {
    name: String,
    _process: Sibling,
}

impl Server {
    fn start(busy_poll: Option<Duration>) -> failure::Result<Server> {
        let name = format!("npipe-bench-{}", std::process::id());
        let spin = busy_poll.unwrap_or_default().as_secs_f64().to_string();
        let mut process = Sibling::start(
            &["bench-server", &name, "--busy-poll", &spin],
            Stdio::piped(),
        )?;
        let mut ready = String::new();
        if let Some(stdout) = process.take_stdout() {
            BufReader::new(stdout)
                .read_line(&mut ready)
                .map_err(|e| Failure::io("read from the server's process", &e))?;
        }
        if ready.is_empty() {
            // It has said why.
            return Err(Failure::silent(failure::IO));
        }
        Ok(Server {
            name,
            _process: process,
        })
    }
}

impl BenchServer {
    pub fn run(self) -> failure::Result {
        let bind = || ListenOptions::new().bind(&self.name);
        let listener = Guarded::bind(bind).map_err(|e| Failure::pipe(&e))?;
        let shared = listener.share();
        sibling::when_left_alone(move || shared.close())?;
        line("ready")?;
        let busy_poll = self.busy_poll.filter(|spin| !spin.is_zero());
        for client in listener.incoming() {
            let Ok(client) = client else { continue };
            let serve = move || {
                let _ = serve(&client, busy_poll);
            };
            if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(serve) {
                say::error(format_args!("start a thread: {error}"));
            }
        }
        Ok(())
    }
}

fn serve(mut stream: &PipeStream, busy_poll: Option<Duration>) -> io::Result<()> {
    stream.set_busy_poll(busy_poll)?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    if kind[0] == ECHO {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                length => stream.write_all(&buffer[..length])?,
            }
        }
    }
    let (mut length, mut block) = ([0; 8], [0; 8]);
    stream.read_exact(&mut length)?;
    stream.read_exact(&mut block)?;
    let length = u64::from_le_bytes(length);
    let block = usize::try_from(u64::from_le_bytes(block))
        .unwrap_or(usize::MAX)
        .clamp(1, 1 << 30);
    if kind[0] == SINK {
        receive(stream, length, block)?;
        stream.write_all(&[0])
    } else {
        send(stream, length, block)
    }
}
