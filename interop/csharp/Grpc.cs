// gRPC by hand, as HTTP/2 has it, over a named pipe: Grpc connect NAME [DEED...]
//
// It follows interop/go/grpc in its deeds and in what it prints, with the messages of interop/proto/talk.proto written
// out. In a program with the package Grpc.Net.Client, GrpcChannel.ForAddress takes the same handler as HttpClient here.

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

class Grpc
{
    const uint WithoutEnd = 1 << 30;

    static HttpClient client;

    static int Main(string[] args)
    {
        try
        {
            if (args.Length < 2 || args[0] != "connect") throw new ArgumentException("connect, and a name");
            PipeHttp counter;
            client = PipeHttp.Client(args[1], out counter);
            for (int i = 2; i < args.Length; i++) Do(args[i]).Wait();
            return 0;
        }
        catch (Exception error)
        {
            Console.WriteLine("failed " + error.GetBaseException().Message);
            return 2;
        }
    }

    static async Task Do(string deed)
    {
        int sign = deed.IndexOf('=');
        string verb = sign < 0 ? deed : deed.Substring(0, sign);
        string value = sign < 0 ? "" : deed.Substring(sign + 1);
        try
        {
            switch (verb)
            {
                case "say":
                    using (var call = Call.Begin("Say", Framed(Words(value)), CancellationToken.None))
                    {
                        byte[] answer = await call.Next();
                        await call.End(answer);
                        Console.WriteLine("said " + Encoding.UTF8.GetString(Field(answer, 1)));
                    }
                    break;
                case "count":
                    Console.WriteLine("counted " + await Count(uint.Parse(value), CancellationToken.None, -1));
                    break;
                case "chat":
                    await Chat(int.Parse(value));
                    Console.WriteLine("chatted " + value);
                    break;
                case "streams":
                    var all = new Task<int>[int.Parse(value)];
                    for (int i = 0; i < all.Length; i++) all[i] = Count(100, CancellationToken.None, -1);
                    foreach (int counted in await Task.WhenAll(all))
                    {
                        if (counted != 100) throw new Exception(counted + " of 100");
                    }
                    Console.WriteLine("streamed " + value);
                    break;
                case "deadline":
                    using (var timer = new CancellationTokenSource(int.Parse(value)))
                    {
                        await Ended(Count(WithoutEnd, timer.Token, -1, value + "m"), timer.Token, 4);
                    }
                    break;
                case "cancel":
                    using (var cancel = new CancellationTokenSource())
                    {
                        await Ended(Count(WithoutEnd, cancel.Token, int.Parse(value), null, cancel), cancel.Token, 1);
                    }
                    break;
                case "pause":
                    Console.In.ReadLine();
                    break;
                default:
                    throw new ArgumentException("no such deed: " + deed);
            }
        }
        catch (Status status)
        {
            bool ours = status.Code == 1 || status.Code == 4;
            Console.WriteLine(("status " + status.Code + " " + (ours ? "" : status.Message)).TrimEnd());
        }
    }

    /// A call that is given up here ends with a status of ours.
    static async Task Ended(Task<int> call, CancellationToken token, int code)
    {
        try
        {
            await call;
        }
        catch (Status)
        {
            throw;
        }
        catch (Exception)
        {
            if (!token.IsCancellationRequested) throw;
        }
        throw new Status(code, "");
    }

    static async Task<int> Count(
        uint to, CancellationToken token, int until, string timeout = null, CancellationTokenSource cancel = null)
    {
        var span = new List<byte>();
        Varint(span, 1, to);
        if (to == WithoutEnd) Varint(span, 2, 5);
        using (var call = Call.Begin("Count", Framed(span.ToArray()), token, timeout))
        {
            for (int counted = 0; ; counted++)
            {
                if (counted == until) cancel.Cancel();
                byte[] next = await call.Next();
                if (next == null)
                {
                    await call.End(null);
                    return counted;
                }
                if (Number(next) != counted + 1) throw new Exception(Number(next) + " after " + counted);
            }
        }
    }

    static async Task Chat(int times)
    {
        var words = new Outgoing();
        using (var call = Call.Begin("Chat", words, CancellationToken.None))
        {
            for (int i = 0; i < times; i++)
            {
                string text = "word " + i;
                words.Send(Frame(Words(text)));
                byte[] answer = await call.Next();
                string got = answer == null ? "the end" : Encoding.UTF8.GetString(Field(answer, 1));
                if (got != text) throw new Exception(got + " instead of " + text);
            }
            words.End();
            await call.End(await call.Next());
        }
    }

    /// A call that did not end well.
    class Status : Exception
    {
        public readonly int Code;

        public Status(int code, string message) : base(message)
        {
            Code = code;
        }
    }

    class Call : IDisposable
    {
        Task<HttpResponseMessage> answer;
        Stream body;
        CancellationToken token;

        /// Does not wait for the answer, whose headers may come with the first message only.
        public static Call Begin(string method, HttpContent content, CancellationToken token, string timeout = null)
        {
            var request = PipeHttp.Request(HttpMethod.Post, "/talk.Talk/" + method, 2);
            content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
            request.Content = content;
            request.Headers.Add("te", "trailers");
            if (timeout != null) request.Headers.Add("grpc-timeout", timeout);
            var call = new Call();
            call.token = token;
            call.answer = client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, token);
            return call;
        }

        /// The next message, or null at the end of them.
        public async Task<byte[]> Next()
        {
            byte[] head = await Read(5);
            if (head == null) return null;
            if (head[0] != 0) throw new Exception("it is compressed");
            return await Read(head[1] << 24 | head[2] << 16 | head[3] << 8 | head[4]) ?? new byte[0];
        }

        async Task<byte[]> Read(int count)
        {
            if (body == null)
            {
                HttpResponseMessage response = await answer;
                if ((int)response.StatusCode != 200) throw new Exception("HTTP status " + (int)response.StatusCode);
                body = await response.Content.ReadAsStreamAsync();
            }
            byte[] bytes = new byte[count];
            int at = 0;
            while (at < count)
            {
                int length = await body.ReadAsync(bytes, at, count - at, token);
                if (length == 0 && at == 0) return null;
                if (length == 0) throw new Exception("the end amid a message");
                at += length;
            }
            return count == 0 ? null : bytes;
        }

        /// Reads the status, which comes after everything. `last` is what has come instead of the end, if it has.
        public async Task End(byte[] last)
        {
            if (last != null) last = await Next();
            if (last != null) throw new Exception("a message too many");
            string code = Header("grpc-status");
            if (code == null) throw new Exception("no status");
            if (code != "0") throw new Status(int.Parse(code), Uri.UnescapeDataString(Header("grpc-message") ?? ""));
        }

        // A call without messages has everything in its headers.
        string Header(string name)
        {
            IEnumerable<string> values;
            HttpResponseMessage response = answer.Result;
            if (response.TrailingHeaders.TryGetValues(name, out values)) return values.First();
            if (response.Headers.TryGetValues(name, out values)) return values.First();
            return null;
        }

        public void Dispose()
        {
            if (answer.Status == TaskStatus.RanToCompletion) answer.Result.Dispose();
        }
    }

    /// A request's body that is written bit by bit, while the answer comes.
    class Outgoing : HttpContent
    {
        readonly Queue<byte[]> queue = new Queue<byte[]>();
        readonly SemaphoreSlim ready = new SemaphoreSlim(0);

        public void Send(byte[] frame)
        {
            lock (queue) queue.Enqueue(frame);
            ready.Release();
        }

        public void End()
        {
            Send(null);
        }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext context)
        {
            // The headers, which otherwise wait for the first bytes.
            await stream.FlushAsync();
            while (true)
            {
                await ready.WaitAsync();
                byte[] frame;
                lock (queue) frame = queue.Dequeue();
                if (frame == null) return;
                await stream.WriteAsync(frame, 0, frame.Length);
                await stream.FlushAsync();
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }

    // The messages.

    static byte[] Words(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        var message = new List<byte>();
        if (bytes.Length > 0)
        {
            message.Add(1 << 3 | 2);
            Varint(message, (uint)bytes.Length);
            message.AddRange(bytes);
        }
        return message.ToArray();
    }

    static void Varint(List<byte> message, int field, uint value)
    {
        message.Add((byte)(field << 3));
        Varint(message, value);
    }

    static void Varint(List<byte> message, uint value)
    {
        for (; value > 127; value >>= 7) message.Add((byte)(value | 128));
        message.Add((byte)value);
    }

    static uint Varint(byte[] message, ref int at)
    {
        uint value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = message[at++];
            value |= (uint)(next & 127) << shift;
            if (next < 128) return value;
        }
    }

    /// The bytes of a field with a length.
    static byte[] Field(byte[] message, int field)
    {
        int at = 0;
        if (message.Length == 0) return message;
        if (Varint(message, ref at) != (uint)(field << 3 | 2)) throw new Exception("another field");
        uint length = Varint(message, ref at);
        return message.Skip(at).Take((int)length).ToArray();
    }

    static uint Number(byte[] message)
    {
        int at = 0;
        if (Varint(message, ref at) != 1 << 3) throw new Exception("another field");
        return Varint(message, ref at);
    }

    /// A message as gRPC sends it: not compressed, and its length before it.
    static byte[] Frame(byte[] message)
    {
        int length = message.Length;
        byte[] head = { 0, (byte)(length >> 24), (byte)(length >> 16), (byte)(length >> 8), (byte)length };
        return head.Concat(message).ToArray();
    }

    static HttpContent Framed(byte[] message)
    {
        return new ByteArrayContent(Frame(message));
    }
}
