// vscode-jsonrpc over a pipe: node jsonrpc.js serve|connect PATH [DEED...]
//
// PATH is the system's own: \\.\pipe\NAME on Windows, the socket's path elsewhere. `serve` makes the pipe and prints
// "ready"; `connect` finds it made. From there on both sides are the same: either may call the other, in JSON-RPC 2.0 with
// Content-Length before each message.
//
// What it answers:
//   add [a, b]                  a + b; a number that is none is error -32602, "numbers only"
//   name []                     "Node"
//   greet []                    calls the caller's `name`, and answers "Hello NAME"
//   work {"steps": N, "ms": M}  N times M milliseconds, after each of which it notifies `progress {"done": I, "of": N}`;
//                               answers N, or error -32800 once "$/cancelRequest" has come
//   exit (a notification)       it closes the pipe and ends
//
// Deeds, one after the other:
//   add=A,B        print "sum SUM"                      name           print "name NAME"
//   greet          print "greeted GREETING"             work=N         print "progress I of N" for each, then "worked N"
//   cancel=N       work without end, cancelled after N steps; print "error -32800"
//   many=N         N times add at once, print "N of N"  unknown        call what is not there, print "error -32601"
//   exit           notify the other side's `exit`       pause          wait for a line on standard input, or for its end
//   end            wait until the other side has closed, print "the end"
//
// A call that fails is printed as "error CODE". A server without deeds waits for the end. Anything else that is unexpected
// is printed as "failed ...", and the exit code is 2.
'use strict';

const readline = require('readline');
const rpc = require('vscode-jsonrpc/node');

const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function answers(connection) {
  connection.onRequest('add', (a, b) => {
    if (typeof a !== 'number' || typeof b !== 'number') {
      throw new rpc.ResponseError(rpc.ErrorCodes.InvalidParams, 'numbers only');
    }
    return a + b;
  });
  connection.onRequest('name', () => 'Node');
  connection.onRequest('greet', async () => `Hello ${await connection.sendRequest('name')}`);
  connection.onRequest('work', async ({ steps, ms }, token) => {
    for (let done = 1; done <= steps; done++) {
      await new Promise((resolve) => setTimeout(resolve, ms));
      if (token.isCancellationRequested) throw new rpc.ResponseError(-32800, 'cancelled');
      await connection.sendNotification('progress', { done, of: steps });
    }
    return steps;
  });
  connection.onNotification('exit', () => {
    connection.end();
    process.exit(0);
  });
}

async function act(connection, deeds) {
  let progress = () => {};
  connection.onNotification('progress', (step) => progress(step));
  const ended = new Promise((resolve) => connection.onClose(resolve));
  answers(connection);
  connection.listen();
  for (const deed of deeds) {
    const [verb, value] = split(deed);
    try {
      switch (verb) {
        case 'add':
          console.log(`sum ${await connection.sendRequest('add', ...value.split(',').map(number))}`);
          break;
        case 'name':
          console.log(`name ${await connection.sendRequest('name')}`);
          break;
        case 'greet':
          console.log(`greeted ${await connection.sendRequest('greet')}`);
          break;
        case 'work':
          progress = (step) => console.log(`progress ${step.done} of ${step.of}`);
          console.log(`worked ${await connection.sendRequest('work', { steps: Number(value), ms: 1 })}`);
          break;
        case 'cancel': {
          const source = new rpc.CancellationTokenSource();
          progress = ({ done }) => {
            if (done === Number(value)) source.cancel();
          };
          await connection.sendRequest('work', { steps: 1000000, ms: 1 }, source.token);
          break;
        }
        case 'many': {
          const all = Array.from({ length: Number(value) }, (_, i) => connection.sendRequest('add', i, i));
          const good = (await Promise.all(all)).filter((sum, i) => sum === 2 * i).length;
          console.log(`${good} of ${value}`);
          break;
        }
        case 'unknown':
          await connection.sendRequest('unknown');
          break;
        case 'exit':
          await connection.sendNotification('exit');
          break;
        case 'pause':
          await input.next();
          break;
        case 'end':
          await ended;
          console.log('the end');
          break;
        default:
          throw new Error(`no such deed: ${deed}`);
      }
    } catch (error) {
      if (error.code === undefined) throw error;
      console.log(`error ${error.code}`);
    }
    progress = () => {};
  }
  return { ended };
}

/** "2" is a number, "two" stays what it is. */
function number(text) {
  return Number.isNaN(Number(text)) ? text : Number(text);
}

function split(word) {
  const sign = word.indexOf('=');
  return sign < 0 ? [word, ''] : [word.slice(0, sign), word.slice(sign + 1)];
}

async function main([side, path, ...deeds]) {
  let streams;
  if (side === 'serve') {
    // vscode-jsonrpc calls the side that makes the pipe its client, as an editor is.
    const transport = await rpc.createClientPipeTransport(path);
    console.log('ready');
    streams = await transport.onConnected();
  } else if (side === 'connect') {
    streams = rpc.createServerPipeTransport(path);
  } else {
    throw new Error(`serve or connect, not ${side}`);
  }
  const connection = rpc.createMessageConnection(...streams);
  const { ended } = await act(connection, deeds);
  if (side === 'serve' && deeds.length === 0) await ended;
  connection.end();
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.log(`failed ${error.message}`);
    process.exit(2);
  },
);
