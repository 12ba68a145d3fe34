// Node's half of the benchmark: node bench.js serve|work ADDRESS. It follows src/protocol.rs in its words and in what it
// prints.

'use strict';

const net = require('net');
const readline = require('readline');

const REQUEST = 17;
const [side, address] = process.argv.slice(2);

function head(kind, size, count) {
  const bytes = Buffer.alloc(REQUEST);
  bytes.write(kind, 0, 'latin1');
  bytes.writeBigUInt64LE(BigInt(size), 1);
  bytes.writeBigUInt64LE(BigInt(count), 9);
  return bytes;
}

function serve() {
  const server = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    // What of the request, or of its pieces, has come.
    let pending = [];
    let have = 0;
    let task = null;
    const take = (length) => {
      const all = pending.length === 1 ? pending[0] : Buffer.concat(pending);
      pending = all.length > length ? [all.subarray(length)] : [];
      have = all.length - length;
      return all.subarray(0, length);
    };
    socket.on('data', (chunk) => {
      if (task && task.kind === 's') {
        // What is thrown away is not gathered first.
        task.left -= chunk.length;
        if (task.left <= 0) {
          socket.write(Buffer.alloc(1));
          task = null;
        }
        return;
      }
      pending.push(chunk);
      have += chunk.length;
      for (;;) {
        if (!task) {
          if (have < REQUEST) return;
          const request = take(REQUEST);
          const kind = String.fromCharCode(request[0]);
          const size = Number(request.readBigUInt64LE(1));
          const count = Number(request.readBigUInt64LE(9));
          if (kind === 'p') {
            socket.write(Buffer.alloc(1));
            continue;
          }
          task = { kind, size, left: kind === 's' ? size * count : count };
          if (kind === 's') {
            const come = take(have);
            task.left -= come.length;
            if (task.left <= 0) {
              socket.write(Buffer.alloc(1));
              task = null;
            }
            return;
          }
        }
        if (have < task.size) return;
        socket.write(take(task.size));
        if (--task.left === 0) task = null;
      }
    });
  });
  server.listen({ path: address, backlog: 511 }, () => console.log('ready'));
  process.stdin.on('end', () => process.exit(0)).resume();
}

function connect() {
  return new Promise((resolve, reject) => {
    const socket = net.connect(address);
    socket.once('connect', () => {
      // Errors from now on end the process, which the harness notices.
      socket.off('error', reject);
      resolve(socket);
    });
    socket.on('error', reject);
  });
}

// Resolves once so many bytes have come.
function receive(socket, length) {
  return new Promise((resolve, reject) => {
    const take = (chunk) => {
      length -= chunk.length;
      if (length <= 0) {
        socket.off('data', take);
        socket.off('error', reject);
        resolve();
      }
    };
    socket.on('data', take);
    socket.on('error', reject);
  });
}

const since = (began) => process.hrtime.bigint() - began;

async function trips(socket, size, count) {
  const piece = Buffer.alloc(size);
  socket.write(head('e', size, count));
  const began = process.hrtime.bigint();
  await new Promise((resolve) => {
    let left = size;
    const take = (chunk) => {
      left -= chunk.length;
      if (left > 0) return;
      left = size;
      if (--count > 0) {
        socket.write(piece);
      } else {
        socket.off('data', take);
        resolve();
      }
    };
    socket.on('data', take);
    socket.write(piece);
  });
  return [since(began)];
}

async function writes(socket, size, count) {
  const piece = Buffer.alloc(size);
  const answered = receive(socket, 1);
  socket.write(head('s', size, count));
  const began = process.hrtime.bigint();
  for (; count > 0; count--) {
    if (!socket.write(piece)) {
      await new Promise((resolve) => socket.once('drain', resolve));
    }
  }
  await answered;
  return [since(began)];
}

async function ping(socket) {
  const answered = receive(socket, 1);
  socket.write(head('p', 0, 0));
  await answered;
}

async function once() {
  const began = process.hrtime.bigint();
  const socket = await connect();
  const connected = process.hrtime.bigint();
  await ping(socket);
  const ended = process.hrtime.bigint();
  socket.destroy();
  return [began, connected, ended];
}

async function storm(clients, rounds) {
  let total = 0n;
  const connects = [];
  for (let round = 0; round < rounds; round++) {
    const times = await Promise.all(Array.from({ length: clients }, once));
    let first = times[0][0];
    let last = times[0][2];
    for (const [began, connected, ended] of times) {
      if (began < first) first = began;
      if (ended > last) last = ended;
      connects.push(connected - began);
    }
    total += last - first;
  }
  connects.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const at = (share) => connects[Math.floor(connects.length * share)];
  return [total, at(0.5), at(0.99)];
}

async function work() {
  const socket = await connect();
  const idle = [];
  const obey = async (verb, first, second) => {
    switch (verb) {
      case 'trip':
        return trips(socket, first, second);
      case 'write':
        return writes(socket, first, second);
      case 'connect': {
        const began = process.hrtime.bigint();
        for (let i = 0; i < first; i++) await once();
        return [since(began)];
      }
      case 'storm':
        return storm(first, second);
      case 'idle':
        while (idle.length < first) {
          const more = await connect();
          await ping(more);
          idle.push(more);
        }
        return [0];
      default:
        throw new Error(`there is no such command: ${verb}`);
    }
  };
  console.log('ready');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [verb, ...numbers] = line.split(' ');
    try {
      console.log((await obey(verb, ...numbers.map(Number))).join(' '));
    } catch (error) {
      console.log(`error ${error.message}`);
    }
  }
  process.exit(0);
}

if (side === 'serve') serve();
else work();
