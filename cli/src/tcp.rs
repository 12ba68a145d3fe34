//! TCP: how a server is dialled, and whether a client that has ended its side is still there for the answer.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

use crate::failure::{self, Failure};
use crate::options::Dial;

/// How often one looks whether whoever wants a connection is still there.
pub const LOOK: Duration = Duration::from_millis(500);

/// TCP has no event for a server that comes.
const TCP_RETRY: Duration = Duration::from_millis(50);

/// libassuan's stand-in for a socket: a file with a port, a line end, and sixteen bytes that the server wants first.
pub fn dial_assuan(
    file: &OsStr,
    how: &Dial,
    has_left: impl Fn() -> bool,
) -> failure::Result<TcpStream> {
    let what = || format!("connect assuan:{}", file.to_string_lossy());
    let secret = std::fs::read(file).map_err(|e| match e.kind() {
        ErrorKind::NotFound => Failure::new(
            failure::NO_SUCH_PIPE,
            format!("{}: there is no such file; start gpg-agent, `gpgconf --list-dirs` shows where it is", what()),
        ),
        _ => Failure::io(what(), &e).advise("give a file that you may read"),
    })?;
    let split = secret.iter().position(|&byte| byte == b'\n');
    let port = split.and_then(|at| {
        std::str::from_utf8(&secret[..at])
            .ok()?
            .trim()
            .parse::<u16>()
            .ok()
    });
    let (Some(at), Some(port)) = (split, port) else {
        return Err(Failure::new(
            failure::IO,
            format!(
                "{}: the file does not begin with a port; give the one that gpg-agent made",
                what()
            ),
        ));
    };
    let mut stream = dial(&format!("127.0.0.1:{port}"), how, has_left)?;
    stream
        .write_all(&secret[at + 1..])
        .map_err(|e| Failure::io(what(), &e))?;
    Ok(stream)
}

pub fn dial(place: &str, how: &Dial, has_left: impl Fn() -> bool) -> failure::Result<TcpStream> {
    let what = || format!("connect tcp:{place}");
    let until = how
        .timeout()
        .0
        .and_then(|time| Instant::now().checked_add(time));
    let mut looked = Instant::now();
    loop {
        let error = match attempt_tcp(place, until) {
            Ok(stream) => {
                prepare(&stream);
                return Ok(stream);
            }
            Err(error) => error,
        };
        let refused = error.kind() == ErrorKind::ConnectionRefused;
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if refused && how.wait && left.is_none_or(|left| !left.is_zero()) {
            std::thread::sleep(left.map_or(TCP_RETRY, |left| left.min(TCP_RETRY)));
            if looked.elapsed() >= LOOK {
                if has_left() {
                    return Err(Failure::silent(failure::IO));
                }
                looked = Instant::now();
            }
            continue;
        }
        return Err(match error.kind() {
            ErrorKind::ConnectionRefused if how.wait => Failure::new(
                failure::TIMED_OUT,
                format!(
                    "{}: no server came within {}; give it longer with --timeout",
                    what(),
                    how.timeout()
                ),
            ),
            ErrorKind::ConnectionRefused => Failure::new(
                failure::NO_SUCH_PIPE,
                format!(
                    "{}: nothing listens there; start its server first, or wait for it with --wait",
                    what()
                ),
            ),
            ErrorKind::TimedOut => Failure::new(
                failure::TIMED_OUT,
                format!(
                    "{}: no answer within {}; give it longer with --timeout",
                    what(),
                    how.timeout()
                ),
            ),
            _ => Failure::io(what(), &error).advise("see that host and port are right"),
        });
    }
}

fn attempt_tcp(place: &str, until: Option<Instant>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "this host has no address");
    for address in place.to_socket_addrs()? {
        let attempt = match until {
            // No time at all is refused by the system: one attempt is always made.
            Some(until) => TcpStream::connect_timeout(
                &address,
                until
                    .saturating_duration_since(Instant::now())
                    .max(Duration::from_millis(1)),
            ),
            None => TcpStream::connect(address),
        };
        match attempt {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What passes here is as interactive as a pipe is; and a machine that has vanished is noticed.
pub fn prepare(stream: &TcpStream) {
    const IDLE: Duration = Duration::from_secs(30);
    const INTERVAL: Duration = Duration::from_secs(10);
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL);
    // Without it the connection is as good as any other.
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Whether whoever goes to `goal` comes to `listener`.
pub fn is_reached_by(listener: SocketAddr, goal: SocketAddr) -> bool {
    // Port 0 is any that is free.
    if listener.port() != goal.port() || goal.port() == 0 {
        return false;
    }
    // An address of this machine is one that a socket can have.
    listener.ip() == goal.ip()
        || (listener.ip().is_unspecified() && UdpSocket::bind((goal.ip(), 0)).is_ok())
}

/// Whether a client, of which nothing has been read, has gone as far as anybody can tell.
pub fn has_left(stream: &TcpStream) -> bool {
    if is_abandoned(stream) {
        return true;
    }
    let peek = || {
        stream.set_nonblocking(true)?;
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        peeked
    };
    match peek() {
        // Where Linux can tell it may want an answer yet; elsewhere nobody can tell what it wants.
        Ok(0) => cfg!(not(target_os = "linux")),
        Ok(_) => false,
        Err(e) => e.kind() != ErrorKind::WouldBlock,
    }
}

/// Whether the other side has closed its socket, rather than its one direction: TCP says the same of both. Where it is a
/// socket of this machine, Linux knows. False: it has not, or nobody can tell.
pub fn is_abandoned(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(here), Ok(there)) => table::is_abandoned(there, here),
        // There is no other side any more.
        (_, Err(e)) => e.kind() == ErrorKind::NotConnected,
        _ => false,
    }
}

#[cfg(not(target_os = "linux"))]
mod table {
    use std::net::SocketAddr;

    pub fn is_abandoned(_peer: SocketAddr, _ours: SocketAddr) -> bool {
        false
    }
}

/// The system's list of its sockets.
#[cfg(target_os = "linux")]
mod table {
    use std::collections::HashSet;
    use std::fs;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    /// The addresses of those that a process holds, as read then. (Where packets are redirected the other side's socket has
    /// another goal than ours has an address, and so goals are not looked at.)
    static HELD: Mutex<Option<(Instant, Held)>> = Mutex::new(None);

    type Held = HashSet<SocketAddr>;

    /// That a socket is held is believed for so long: any number of connections may ask.
    const FRESH: Duration = Duration::from_millis(250);

    /// Whether the socket of `peer` that is connected to `ours` is one of this machine, and nobody's any more.
    pub fn is_abandoned(peer: SocketAddr, ours: SocketAddr) -> bool {
        let (peer, ours) = (plain(peer), plain(ours));
        if !peer.ip().is_loopback() && peer.ip() != ours.ip() {
            return false;
        }
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held
            .as_ref()
            .is_some_and(|(read, held)| read.elapsed() < FRESH && held.contains(&peer));
        if known {
            return false;
        }
        let Some(now) = read() else {
            return false;
        };
        let (_, now) = held.insert((Instant::now(), now));
        // A list that lacks our own is none to go by.
        now.contains(&ours) && !now.contains(&peer)
    }

    /// An IPv4 address as it is, however a socket of both kinds writes it.
    fn plain(address: SocketAddr) -> SocketAddr {
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    fn read() -> Option<Held> {
        let four = fs::read_to_string("/proc/net/tcp").ok()?;
        // There is none where the system has no IPv6.
        let six = fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
        Some(four.lines().chain(six.lines()).filter_map(held).collect())
    }

    /// A line: number, local and remote address, state, queues, timer, retransmissions, user, timeout, inode. That is 0
    /// once its process has closed it.
    fn held(line: &str) -> Option<SocketAddr> {
        let mut words = line.split_ascii_whitespace().skip(1);
        let local = address(words.next()?)?;
        (words.nth(7)? != "0").then_some(plain(local))
    }

    /// Words of four bytes as this machine reads them, then the port.
    fn address(text: &str) -> Option<SocketAddr> {
        let (ip, port) = text.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok();
        let ip = if ip.len() == 8 {
            IpAddr::from(Ipv4Addr::from(word(0)?.to_ne_bytes()))
        } else {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at * 8)?.to_ne_bytes());
            }
            IpAddr::from(Ipv6Addr::from(bytes))
        };
        Some(SocketAddr::new(ip, port))
    }

    #[cfg(all(test, target_endian = "little"))]
    mod tests {
        use super::*;

        #[test]
        fn lines_of_the_kernels_list() {
            let line = |inode| {
                format!(
                    "   1: 0100007F:0CEA 0100007F:BDAE 01 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1"
                )
            };
            assert_eq!(held(&line(4711)), Some("127.0.0.1:3306".parse().unwrap()));
            assert_eq!(held(&line(0)), None);
            assert_eq!(held("  sl  local_address rem_address   st"), None);
            assert_eq!(
                address("0000000000000000FFFF00000100007F:0050").map(plain),
                Some("127.0.0.1:80".parse().unwrap())
            );
        }
    }
}
