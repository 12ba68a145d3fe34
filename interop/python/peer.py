"""A Python peer that does what a test tells it to: peer.py serve|connect PATH [OPTION...] [DEED...]

PATH is the socket's. It follows interop/csharp/Peer.cs in its words and in what it prints.

Options, before the socket is made:
  times=N        a server serves N clients, one after the other
  connection     multiprocessing.connection in the place of a plain socket

Deeds of a plain socket, one after the other once there is a connection:
  say=TEXT       write a line          hear           read a line, print "heard LINE" or "heard the end"
  write=N        write N bytes         read=N         read N bytes, print "read N" or "read K, then the end"
  exchange=N     both at once          echo           write back all that comes until its end, print "echoed N"
  end            read until the end, print "the end"
  print=TEXT     print TEXT            pause          wait for a line on standard input, or for its end
  half-close     shutdown(SHUT_WR)     close          close the socket, print "closed"

Deeds of multiprocessing.connection:
  send=N         send_bytes of N bytes
  recv           recv_bytes, print "message of N", or "the end"
  echo           send every message back until the end, print "echoed N messages"
"""

import socket
import sys
import threading
from multiprocessing import connection


def main(side, path, *words):
    words = list(words)
    times, messages = 1, False
    while words:
        verb, value = split(words[0])
        if verb == "times":
            times = int(value)
        elif verb == "connection":
            messages = True
        else:
            break
        words.pop(0)
    act = act_on_messages if messages else act_on_socket
    if side == "serve":
        with listen(path, messages) as accept:
            say("ready")
            for _ in range(times):
                with accept() as peer:
                    say("connected")
                    act(peer, words)
    elif side == "connect":
        say("connecting")
        with connect(path, messages) as peer:
            say("connected")
            act(peer, words)
    else:
        raise ValueError(f"serve or connect, not {side}")


class listen:
    """A server's socket, of either kind, which gives the function that accepts."""

    def __init__(self, path, messages):
        if messages:
            self.listener = connection.Listener(path, family="AF_UNIX")
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.listener.listen()

    def __enter__(self):
        if isinstance(self.listener, connection.Listener):
            return self.listener.accept
        return lambda: self.listener.accept()[0]

    def __exit__(self, *_):
        # A plain one leaves its file behind: the test has to take it away.
        self.listener.close()


def connect(path, messages):
    if messages:
        return connection.Client(path, family="AF_UNIX")
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(path)
    return peer


def act_on_socket(peer, words):
    reader = peer.makefile("rb")
    for word in words:
        verb, value = split(word)
        if verb == "say":
            peer.sendall(value.encode() + b"\n")
        elif verb == "hear":
            line = reader.readline()
            say("heard " + (line.decode().rstrip("\r\n") if line else "the end"))
        elif verb == "write":
            write(peer, int(value))
        elif verb == "read":
            read(reader, int(value))
        elif verb == "exchange":
            writing = threading.Thread(target=write, args=(peer, int(value)))
            writing.start()
            read(reader, int(value))
            writing.join()
        elif verb == "echo":
            total = 0
            while data := reader.read1(16384):
                peer.sendall(data)
                total += len(data)
            say(f"echoed {total}")
        elif verb == "end":
            while reader.read1(16384):
                pass
            say("the end")
        elif verb == "half-close":
            peer.shutdown(socket.SHUT_WR)
        elif verb == "close":
            reader.close()
            peer.close()
            say("closed")
        else:
            common(word)


def act_on_messages(peer, words):
    for word in words:
        verb, value = split(word)
        if verb == "send":
            peer.send_bytes(pattern(int(value)))
        elif verb == "recv":
            try:
                message = peer.recv_bytes()
            except EOFError:
                say("the end")
                continue
            check(message)
            say(f"message of {len(message)}")
        elif verb == "echo":
            count = 0
            try:
                while True:
                    peer.send_bytes(peer.recv_bytes())
                    count += 1
            except EOFError:
                say(f"echoed {count} messages")
        else:
            common(word)


def common(word):
    verb, value = split(word)
    if verb == "print":
        say(value)
    elif verb == "pause":
        sys.stdin.readline()
    else:
        raise ValueError(f"no such deed: {word}")


def write(peer, count):
    peer.sendall(pattern(count))
    say(f"wrote {count}")


def read(reader, count):
    data = reader.read(count)
    check(data)
    say(f"read {count}" if len(data) == count else f"read {len(data)}, then the end")


def check(data):
    if data != pattern(len(data)):
        raise ValueError("a byte is wrong")


def pattern(count):
    """The same as in interop/src/lib.rs."""
    return bytes((at * 31 + (at >> 8)) & 0xFF for at in range(count))


def split(word):
    verb, _, value = word.partition("=")
    return verb, value


def say(line):
    print(line, flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:
        say(f"failed {type(error).__name__}: {error}")
        sys.exit(2)
