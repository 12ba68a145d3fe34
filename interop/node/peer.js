// A Node peer that does what a test tells it to: node peer.js serve|connect PATH [OPTION...] [DEED...]
//
// PATH is the system's own: \\.\pipe\NAME on Windows, the socket's path elsewhere. It follows interop/csharp/Peer.cs in its
// words and in what it prints.
//
// Options, before the pipe is made:
//   times=N        a server serves N clients, one after the other
//
// Deeds, one after the other once there is a connection:
//   say=TEXT       write a line          hear           read a line, print "heard LINE" or "heard the end"
//   write=N        write N bytes         read=N         read N bytes, print "read N" or "read K, then the end"
//   exchange=N     both at once          echo           write back all that comes until its end, print "echoed N"
//   end            read until the end, print "the end"
//   print=TEXT     print TEXT            pause          wait for a line on standard input, or for its end
//   half-close     net.Socket's end(): on a socket its half close, on a Windows pipe the close that comes of it
//   close          close the pipe, print "closed"
'use strict';

const net = require('net');
const readline = require('readline');

/** What has come and is not taken yet, as something to wait for. */
class Incoming {
  constructor(socket) {
    this.bytes = Buffer.alloc(0);
    this.ended = false;
    this.error = null;
    this.changed = () => {};
    socket.on('data', (bytes) => {
      this.bytes = Buffer.concat([this.bytes, bytes]);
      this.changed();
    });
    for (const end of ['end', 'close']) {
      socket.on(end, () => {
        this.ended = true;
        this.changed();
      });
    }
    socket.on('error', (error) => {
      this.error = error;
      this.changed();
    });
  }

  /** Waits until `enough()`, or for the end; whether it was enough. */
  async until(enough) {
    while (!enough()) {
      if (this.error) throw this.error;
      if (this.ended) return false;
      await new Promise((resolve) => (this.changed = resolve));
    }
    return true;
  }

  take(count) {
    const taken = this.bytes.subarray(0, count);
    this.bytes = this.bytes.subarray(count);
    return taken;
  }
}

const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function act(socket, deeds) {
  const incoming = new Incoming(socket);
  const write = (bytes) =>
    new Promise((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve())));
  const writePattern = async (count) => {
    for (let at = 0; at < count; at += 16384) {
      await write(pattern(at, Math.min(16384, count - at)));
    }
    console.log(`wrote ${count}`);
  };
  const readPattern = async (count) => {
    let at = 0;
    while (at < count && (await incoming.until(() => incoming.bytes.length > 0))) {
      const bytes = incoming.take(Math.min(incoming.bytes.length, count - at));
      if (!bytes.equals(pattern(at, bytes.length))) throw new Error('a byte is wrong');
      at += bytes.length;
    }
    console.log(at === count ? `read ${count}` : `read ${at}, then the end`);
  };

  for (const deed of deeds) {
    const [verb, value] = split(deed);
    switch (verb) {
      case 'say':
        await write(value + '\n');
        break;
      case 'hear': {
        await incoming.until(() => incoming.bytes.includes('\n'));
        const end = incoming.bytes.indexOf('\n') + 1 || incoming.bytes.length;
        const line = incoming.take(end).toString();
        console.log(`heard ${line ? line.trimEnd() : 'the end'}`);
        break;
      }
      case 'write':
        await writePattern(Number(value));
        break;
      case 'read':
        await readPattern(Number(value));
        break;
      case 'exchange':
        await Promise.all([writePattern(Number(value)), readPattern(Number(value))]);
        break;
      case 'echo': {
        let total = 0;
        while (await incoming.until(() => incoming.bytes.length > 0)) {
          const bytes = incoming.take(incoming.bytes.length);
          await write(bytes);
          total += bytes.length;
        }
        console.log(`echoed ${total}`);
        break;
      }
      case 'end':
        while (await incoming.until(() => incoming.bytes.length > 0)) incoming.take(incoming.bytes.length);
        console.log('the end');
        break;
      case 'print':
        console.log(value);
        break;
      case 'pause':
        await input.next();
        break;
      case 'half-close':
        await new Promise((resolve) => socket.end(resolve));
        break;
      case 'close':
        await closed(socket);
        console.log('closed');
        break;
      default:
        throw new Error(`no such deed: ${deed}`);
    }
  }
  await closed(socket);
}

function closed(socket) {
  if (socket.closed || socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => socket.once('close', resolve).destroy());
}

// The same as in interop/src/lib.rs.
function pattern(from, count) {
  const bytes = Buffer.alloc(count);
  for (let i = 0; i < count; i++) bytes[i] = (from + i) * 31 + ((from + i) >> 8);
  return bytes;
}

function split(word) {
  const sign = word.indexOf('=');
  return sign < 0 ? [word, ''] : [word.slice(0, sign), word.slice(sign + 1)];
}

function connect(path, deeds) {
  console.log('connecting');
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path, allowHalfOpen: true }, () => {
      console.log('connected');
      act(socket, deeds).then(resolve, reject);
    });
    socket.once('error', reject);
  });
}

function serve(path, times, deeds) {
  return new Promise((resolve, reject) => {
    let turn = Promise.resolve();
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      // An error of one that is still waiting for its turn.
      socket.on('error', () => {});
      turn = turn.then(async () => {
        console.log('connected');
        await act(socket, deeds);
        times -= 1;
        if (times === 0) server.close(resolve);
      });
      turn.catch(reject);
    });
    server.once('error', reject);
    server.listen(path, () => console.log('ready'));
  });
}

async function main([side, path, ...words]) {
  let times = 1;
  while (words.length > 0 && split(words[0])[0] === 'times') times = Number(split(words.shift())[1]);
  if (side === 'serve') await serve(path, times, words);
  else if (side === 'connect') await connect(path, words);
  else throw new Error(`serve or connect, not ${side}`);
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.log(`failed ${error.message}`);
    process.exit(2);
  },
);
