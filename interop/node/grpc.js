// @grpc/grpc-js over a pipe, as a server or as a client of interop/proto/talk.proto:
// node grpc.js serve|connect PATH [DEED...]
//
// PATH is the system's own: \\.\pipe\NAME on Windows, which grpc-js takes behind its "unix:" as well, the socket's path
// elsewhere. It follows interop/go/grpc in its deeds and in what it prints.
'use strict';

const path = require('path');
const readline = require('readline');

const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const WITHOUT_END = 2 ** 30;

const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { talk } = grpc.loadPackageDefinition(
  loader.loadSync(path.join(__dirname, '../proto/talk.proto'), { keepCase: true, defaults: true }),
);

async function serve(place) {
  const server = new grpc.Server();
  server.addService(talk.Talk.service, {
    Say(call, answer) {
      console.log('Say');
      if (call.request.text === '') answer({ code: grpc.status.INVALID_ARGUMENT, details: 'say something' });
      else answer(null, { text: `Hello, ${call.request.text}` });
    },
    async Count(call) {
      console.log('Count');
      tellOfCancellation(call, 'Count');
      for (let number = 1; number <= call.request.count; number++) {
        if (call.request.pause_ms > 0) await new Promise((resolve) => setTimeout(resolve, call.request.pause_ms));
        if (call.cancelled) return;
        if (!call.write({ number })) await new Promise((resolve) => call.once('drain', resolve));
      }
      call.end();
    },
    Chat(call) {
      console.log('Chat');
      tellOfCancellation(call, 'Chat');
      call.on('data', (words) => call.write(words));
      call.on('end', () => call.end());
      call.on('error', () => {});
    },
  });
  await new Promise((resolve, reject) =>
    server.bindAsync(`unix:${place}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  );
  console.log('ready');
  while (!(await input.next()).done);
  await new Promise((resolve) => server.tryShutdown(resolve));
}

/** A call that has been answered in full is told as cancelled too, when its stream closes. */
function tellOfCancellation(call, name) {
  let answered = false;
  const end = call.end.bind(call);
  call.end = () => {
    answered = true;
    end();
  };
  call.on('cancelled', () => {
    if (!answered) console.log(`${name} was cancelled`);
  });
}

/** Counts to `to`, without pauses unless it is without end; gives up after `until`. */
function count(client, to, { deadline, until } = {}) {
  const options = deadline === undefined ? {} : { deadline: Date.now() + deadline };
  const span = { count: to, pause_ms: to === WITHOUT_END ? 5 : 0 };
  return new Promise((resolve, reject) => {
    const call = client.Count(span, options);
    let counted = 0;
    call.on('data', ({ number }) => {
      counted += 1;
      if (number !== counted) reject(new Error(`${number} after ${counted - 1}`));
      if (counted === until) call.cancel();
    });
    call.on('error', reject);
    call.on('end', () => resolve(counted));
  });
}

function chat(client, times) {
  return new Promise((resolve, reject) => {
    const call = client.Chat();
    let back = 0;
    call.on('data', ({ text }) => {
      if (text !== `word ${back}`) reject(new Error(`${text} instead of word ${back}`));
      back += 1;
      if (back < times) call.write({ text: `word ${back}` });
      else call.end();
    });
    call.on('error', reject);
    call.on('end', () => (back === times ? resolve() : reject(new Error(`${back} words, then the end`))));
    call.write({ text: 'word 0' });
  });
}

async function connect(place, deeds) {
  const credentials = grpc.credentials.createInsecure();
  const client = new talk.Talk(`unix:${place}`, credentials, { 'grpc.default_authority': 'localhost' });
  for (const deed of deeds) {
    const [verb, value] = split(deed);
    try {
      switch (verb) {
        case 'say': {
          const answer = await new Promise((resolve, reject) =>
            client.Say({ text: value }, (error, answer) => (error ? reject(error) : resolve(answer))),
          );
          console.log(`said ${answer.text}`);
          break;
        }
        case 'count':
          console.log(`counted ${await count(client, Number(value))}`);
          break;
        case 'chat':
          await chat(client, Number(value));
          console.log(`chatted ${value}`);
          break;
        case 'streams': {
          const all = await Promise.all(Array.from({ length: Number(value) }, () => count(client, 100)));
          if (!all.every((counted) => counted === 100)) throw new Error(`counted ${all}`);
          console.log(`streamed ${value}`);
          break;
        }
        case 'deadline':
          await count(client, WITHOUT_END, { deadline: Number(value) });
          break;
        case 'cancel':
          await count(client, WITHOUT_END, { until: Number(value) });
          break;
        case 'pause':
          await input.next();
          break;
        default:
          throw new Error(`no such deed: ${deed}`);
      }
    } catch (error) {
      if (error.code === undefined) throw error;
      const ours = [grpc.status.CANCELLED, grpc.status.DEADLINE_EXCEEDED].includes(error.code);
      console.log(`status ${error.code} ${ours ? '' : error.details}`.trim());
    }
  }
  client.close();
}

function split(word) {
  const sign = word.indexOf('=');
  return sign < 0 ? [word, ''] : [word.slice(0, sign), word.slice(sign + 1)];
}

async function main([side, place, ...words]) {
  if (side === 'serve') await serve(place);
  else if (side === 'connect') await connect(place, words);
  else throw new Error(`serve or connect, not ${side}`);
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.log(`failed ${error.message}`);
    process.exit(2);
  },
);
