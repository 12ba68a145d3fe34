// Node's http over a pipe, as a server or as a client: node http.js serve|connect PATH [DEED...]
//
// PATH is the system's own: \\.\pipe\NAME on Windows, the socket's path elsewhere. It follows interop/go/http in its
// deeds and in what it prints; its server says "Hello from Node".
'use strict';

const http = require('http');
const readline = require('readline');

const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function serve(path) {
  const server = http.createServer(async (request, response) => {
    const url = new URL(request.url, 'http://pipe');
    console.log(`${request.method} ${url.pathname}`);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (url.pathname === '/hello') response.end('Hello from Node\n');
    else if (url.pathname === '/echo') response.end(Buffer.concat(chunks));
    else if (url.pathname === '/slow') setTimeout(() => response.end('slow\n'), Number(url.searchParams.get('ms')));
    else response.writeHead(404).end('not found\n');
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(path, resolve));
  console.log('ready');
  while (!(await input.next()).done);
  server.closeIdleConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** One request: its status and body. */
function ask(agent, path, { method = 'GET', body } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ ...agent.place, agent, path, method, headers: { host: 'pipe' } }, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => resolve({ status: answer.statusCode, body: Buffer.concat(chunks) }));
      answer.on('error', reject);
    });
    request.on('error', reject).end(body);
  });
}

async function hello(agent) {
  try {
    const { status, body } = await ask(agent, '/hello');
    return status === 200 && body.toString().startsWith('Hello');
  } catch (error) {
    console.error(error.message);
    return false;
  }
}

async function connect(path, deeds) {
  const place = { socketPath: path };
  let dialled = 0;
  class Agent extends http.Agent {
    place = place;
    createConnection(...how) {
      dialled += 1;
      return super.createConnection(...how);
    }
  }
  const agent = new Agent({ keepAlive: true });
  for (const deed of deeds) {
    const [verb, value] = split(deed);
    switch (verb) {
      case 'get': {
        const { status, body } = await ask(agent, value);
        console.log(`${status} ${body.toString().trimEnd()}`);
        break;
      }
      case 'echo': {
        const sent = pattern(Number(value));
        const { status, body } = await ask(agent, '/echo', { method: 'POST', body: sent });
        if (status !== 200 || !body.equals(sent)) throw new Error(`status ${status}, ${body.length} bytes, or others`);
        console.log(`echoed ${value}`);
        break;
      }
      case 'many': {
        const all = await Promise.all(Array.from({ length: Number(value) }, () => hello(agent)));
        console.log(`${all.filter(Boolean).length} of ${value}`);
        break;
      }
      case 'keep': {
        const before = dialled;
        let good = 0;
        for (let i = 0; i < Number(value); i++) good += await hello(agent);
        console.log(`${good} of ${value} over ${dialled - before} connections`);
        break;
      }
      case 'pause':
        await input.next();
        break;
      default:
        throw new Error(`no such deed: ${deed}`);
    }
  }
  agent.destroy();
}

// The same as in interop/src/lib.rs.
function pattern(count) {
  const bytes = Buffer.alloc(count);
  for (let i = 0; i < count; i++) bytes[i] = i * 31 + (i >> 8);
  return bytes;
}

function split(word) {
  const sign = word.indexOf('=');
  return sign < 0 ? [word, ''] : [word.slice(0, sign), word.slice(sign + 1)];
}

async function main([side, path, ...words]) {
  if (side === 'serve') await serve(path);
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
