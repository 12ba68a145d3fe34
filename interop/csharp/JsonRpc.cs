// JSON-RPC 2.0 over a named pipe, with Content-Length before each message: JsonRpc serve|connect NAME [DEED...]
//
// It follows interop/node/jsonrpc.js in what it answers, in its deeds and in what it prints, and is called "C#". In a
// program with the package StreamJsonRpc, JsonRpc.Attach(pipe, target) is all of this.

using System;
using System.Collections.Concurrent;
using System.IO;
using System.IO.Pipes;
using System.Text;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

class JsonRpc
{
    const int InvalidParams = -32602;
    const int MethodNotFound = -32601;
    const int RequestCancelled = -32800;

    static int Main(string[] args)
    {
        try
        {
            Run(args).Wait();
            return 0;
        }
        catch (Exception error)
        {
            Console.WriteLine("failed " + error.GetBaseException().Message);
            return 2;
        }
    }

    static async Task Run(string[] args)
    {
        if (args.Length < 2) throw new ArgumentException("serve or connect, and a name");
        if (args[0] == "serve")
        {
            using (var pipe = new NamedPipeServerStream(
                args[1], PipeDirection.InOut, 1, PipeTransmissionMode.Byte, PipeOptions.Asynchronous, 65536, 65536))
            {
                Console.WriteLine("ready");
                await pipe.WaitForConnectionAsync();
                await Act(pipe, args, true);
            }
        }
        else
        {
            using (var pipe = new NamedPipeClientStream(".", args[1], PipeDirection.InOut, PipeOptions.Asynchronous))
            {
                await pipe.ConnectAsync(30000);
                await Act(pipe, args, false);
            }
        }
    }

    static async Task Act(Stream pipe, string[] args, bool serves)
    {
        var rpc = new JsonRpc(pipe);
        Task ended = rpc.Listen();
        for (int i = 2; i < args.Length; i++)
        {
            try
            {
                if (args[i] == "end")
                {
                    await ended;
                    Console.WriteLine("the end");
                }
                else await rpc.Do(args[i]);
            }
            catch (Failure failure)
            {
                Console.WriteLine("error " + failure.Code);
            }
        }
        if (serves && args.Length == 2) await ended;
    }

    /// What the other side said instead of a result.
    class Failure : Exception
    {
        public readonly int Code;

        public Failure(int code, string message) : base(message)
        {
            Code = code;
        }
    }

    readonly Stream pipe;
    readonly SemaphoreSlim turn = new SemaphoreSlim(1);
    readonly ConcurrentDictionary<int, TaskCompletionSource<JsonElement>> asked = new ConcurrentDictionary<int, TaskCompletionSource<JsonElement>>();
    readonly ConcurrentDictionary<string, CancellationTokenSource> working = new ConcurrentDictionary<string, CancellationTokenSource>();
    Action<int, int> progress = delegate { };
    int last;

    JsonRpc(Stream pipe)
    {
        this.pipe = pipe;
    }

    async Task Do(string deed)
    {
        int sign = deed.IndexOf('=');
        string verb = sign < 0 ? deed : deed.Substring(0, sign);
        string value = sign < 0 ? "" : deed.Substring(sign + 1);
        switch (verb)
        {
            case "add":
                string[] numbers = value.Split(',');
                Console.WriteLine("sum " + await Call("add", "[" + Number(numbers[0]) + "," + Number(numbers[1]) + "]"));
                break;
            case "name":
                Console.WriteLine("name " + await Call("name", "[]"));
                break;
            case "greet":
                Console.WriteLine("greeted " + await Call("greet", "[]"));
                break;
            case "work":
                progress = (done, of) => Console.WriteLine("progress " + done + " of " + of);
                Console.WriteLine("worked " + await Call("work", "{\"steps\":" + value + ",\"ms\":1}"));
                break;
            case "cancel":
                int after = int.Parse(value);
                int id = last + 1;
                progress = (done, of) =>
                {
                    if (done == after) Notify("$/cancelRequest", "{\"id\":" + id + "}").Wait();
                };
                await Call("work", "{\"steps\":1000000,\"ms\":1}");
                break;
            case "many":
                var all = new Task<JsonElement>[int.Parse(value)];
                for (int i = 0; i < all.Length; i++) all[i] = Call("add", "[" + i + "," + i + "]");
                int good = 0;
                for (int i = 0; i < all.Length; i++) good += (await all[i]).GetInt32() == 2 * i ? 1 : 0;
                Console.WriteLine(good + " of " + value);
                break;
            case "unknown":
                await Call("unknown", "[]");
                break;
            case "exit":
                await Notify("exit", "[]");
                break;
            case "pause":
                Console.In.ReadLine();
                break;
            default:
                throw new ArgumentException("no such deed: " + deed);
        }
        progress = delegate { };
    }

    /// 2 is a number, two is a string.
    static string Number(string text)
    {
        int number;
        return int.TryParse(text, out number) ? text : Quoted(text);
    }

    async Task<string> Answer(string method, JsonElement parameters, string id)
    {
        switch (method)
        {
            case "add":
                if (parameters[0].ValueKind != JsonValueKind.Number || parameters[1].ValueKind != JsonValueKind.Number)
                {
                    throw new Failure(InvalidParams, "numbers only");
                }
                return (parameters[0].GetDouble() + parameters[1].GetDouble()).ToString();
            case "name":
                return Quoted("C#");
            case "greet":
                return Quoted("Hello " + (await Call("name", "[]")).GetString());
            case "work":
                var cancel = new CancellationTokenSource();
                working[id] = cancel;
                int steps = parameters.GetProperty("steps").GetInt32();
                int ms = parameters.GetProperty("ms").GetInt32();
                for (int done = 1; done <= steps; done++)
                {
                    await Task.Delay(ms);
                    if (cancel.IsCancellationRequested) throw new Failure(RequestCancelled, "cancelled");
                    await Notify("progress", "{\"done\":" + done + ",\"of\":" + steps + "}");
                }
                return steps.ToString();
            default:
                throw new Failure(MethodNotFound, "no such method: " + method);
        }
    }

    void Notified(string method, JsonElement parameters)
    {
        switch (method)
        {
            case "progress":
                progress(parameters.GetProperty("done").GetInt32(), parameters.GetProperty("of").GetInt32());
                break;
            case "$/cancelRequest":
                CancellationTokenSource cancel;
                if (working.TryGetValue(parameters.GetProperty("id").GetRawText(), out cancel)) cancel.Cancel();
                break;
            case "exit":
                pipe.Dispose();
                Environment.Exit(0);
                break;
        }
    }

    Task<JsonElement> Call(string method, string parameters)
    {
        int id = Interlocked.Increment(ref last);
        var answer = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        asked[id] = answer;
        string head = "{\"jsonrpc\":\"2.0\",\"id\":" + id + ",\"method\":";
        Task sent = Send(head + Quoted(method) + ",\"params\":" + parameters + "}");
        return Answered(sent, answer.Task);
    }

    static async Task<JsonElement> Answered(Task sent, Task<JsonElement> answer)
    {
        await sent;
        return await answer;
    }

    Task Notify(string method, string parameters)
    {
        return Send("{\"jsonrpc\":\"2.0\",\"method\":" + Quoted(method) + ",\"params\":" + parameters + "}");
    }

    async Task Send(string message)
    {
        byte[] body = Encoding.UTF8.GetBytes(message);
        byte[] head = Encoding.ASCII.GetBytes("Content-Length: " + body.Length + "\r\n\r\n");
        byte[] all = new byte[head.Length + body.Length];
        head.CopyTo(all, 0);
        body.CopyTo(all, head.Length);
        await turn.WaitAsync();
        try
        {
            await pipe.WriteAsync(all, 0, all.Length);
        }
        finally
        {
            turn.Release();
        }
    }

    /// Takes messages until the other side has closed.
    async Task Listen()
    {
        // Its lines are few and short, so a byte at a time from a buffer will do.
        var stream = new BufferedStream(pipe);
        byte[] one = new byte[1];
        while (true)
        {
            int length = -1;
            var line = new StringBuilder();
            while (true)
            {
                if (await stream.ReadAsync(one, 0, 1) == 0)
                {
                    foreach (var answer in asked.Values) answer.TrySetException(new EndOfStreamException("the end"));
                    return;
                }
                if (one[0] != '\n')
                {
                    line.Append((char)one[0]);
                    continue;
                }
                string text = line.ToString().TrimEnd('\r');
                line.Clear();
                if (text == "") break;
                if (text.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)) length = int.Parse(text.Substring(15).Trim());
            }
            if (length < 0) throw new InvalidDataException("no Content-Length");
            byte[] body = new byte[length];
            for (int at = 0; at < length; )
            {
                int read = await stream.ReadAsync(body, at, length - at);
                if (read == 0) throw new EndOfStreamException("the end amid a message");
                at += read;
            }
            Take(JsonDocument.Parse(Encoding.UTF8.GetString(body)).RootElement);
        }
    }

    void Take(JsonElement message)
    {
        JsonElement method, id, error, parameters;
        bool hasId = message.TryGetProperty("id", out id);
        if (message.TryGetProperty("method", out method))
        {
            message.TryGetProperty("params", out parameters);
            if (hasId) AnswerAndSend(method.GetString(), parameters, id.GetRawText());
            else Notified(method.GetString(), parameters);
            return;
        }
        TaskCompletionSource<JsonElement> answer;
        if (!hasId || !asked.TryRemove(id.GetInt32(), out answer)) throw new InvalidDataException("nobody asked");
        if (message.TryGetProperty("error", out error))
        {
            answer.SetException(new Failure(error.GetProperty("code").GetInt32(), error.GetProperty("message").GetString()));
        }
        else answer.SetResult(message.GetProperty("result"));
    }

    async void AnswerAndSend(string method, JsonElement parameters, string id)
    {
        string answer;
        try
        {
            answer = "\"result\":" + await Answer(method, parameters, id);
        }
        catch (Failure failure)
        {
            answer = "\"error\":{\"code\":" + failure.Code + ",\"message\":" + Quoted(failure.Message) + "}";
        }
        CancellationTokenSource done;
        working.TryRemove(id, out done);
        try
        {
            await Send("{\"jsonrpc\":\"2.0\",\"id\":" + id + "," + answer + "}");
        }
        catch (IOException)
        {
            // The other side has gone, which Listen tells.
        }
    }

    static string Quoted(string text)
    {
        return JsonSerializer.Serialize(text);
    }
}
