// .NET's half of the benchmark: Bench serve|work ADDRESS. It follows src/protocol.rs in its words and in what it prints.
//
// On Windows the handles are asynchronous, as they have to be for full duplex, and the buffers are everybody else's here:
// with .NET's own default of none each write waits for its reader.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.IO.Pipes;
using System.Threading;

class Bench
{
    const int Request = 17;
    const int Buffer = 65536;

    static string address;

    static int Main(string[] args)
    {
        try
        {
            // .NET adds the prefix of Windows itself.
            address = args[1].StartsWith(@"\\.\pipe\") ? args[1].Substring(9) : args[1];
            if (args[0] == "serve")
                Serve();
            else
                Work();
            return 0;
        }
        catch (Exception error)
        {
            Console.Error.WriteLine("{0}: {1}", error.GetType().Name, error.Message);
            return 1;
        }
    }

    static NamedPipeServerStream Instance()
    {
        return new NamedPipeServerStream(address, PipeDirection.InOut,
            NamedPipeServerStream.MaxAllowedServerInstances, PipeTransmissionMode.Byte,
            PipeOptions.Asynchronous, Buffer, Buffer);
    }

    static void Serve()
    {
        var next = Instance();
        var watching = new Thread(() =>
        {
            while (Console.In.Read() >= 0) { }
            Environment.Exit(0);
        });
        watching.IsBackground = true;
        watching.Start();
        Console.WriteLine("ready");
        for (;;)
        {
            next.WaitForConnection();
            var pipe = next;
            next = Instance();
            ThreadPool.UnsafeQueueUserWorkItem(_ => Answer(pipe), null);
        }
    }

    static void Answer(NamedPipeServerStream pipe)
    {
        try
        {
            using (pipe)
            {
                var head = new byte[Request];
                var piece = new byte[0];
                while (Fill(pipe, head, Request))
                {
                    int size = (int)BitConverter.ToInt64(head, 1);
                    long count = BitConverter.ToInt64(head, 9);
                    if (piece.Length != size)
                        piece = new byte[size];
                    switch ((char)head[0])
                    {
                        case 'e':
                            for (; count > 0; count--)
                            {
                                if (!Fill(pipe, piece, size))
                                    return;
                                pipe.Write(piece, 0, size);
                            }
                            break;
                        case 's':
                            for (long left = size * count; left > 0; )
                            {
                                int length = pipe.Read(piece, 0, size);
                                if (length == 0)
                                    return;
                                left -= length;
                            }
                            pipe.Write(head, 0, 1);
                            break;
                        case 'p':
                            pipe.Write(head, 0, 1);
                            break;
                    }
                }
            }
        }
        catch (IOException)
        {
            // A client that goes away in the middle is the harness's to tell of.
        }
    }

    static bool Fill(PipeStream pipe, byte[] bytes, int size)
    {
        for (int at = 0; at < size; )
        {
            int length = pipe.Read(bytes, at, size - at);
            if (length == 0)
                return false;
            at += length;
        }
        return true;
    }

    static void Need(PipeStream pipe, byte[] bytes, int size)
    {
        if (!Fill(pipe, bytes, size))
            throw new EndOfStreamException();
    }

    static NamedPipeClientStream Connect()
    {
        var pipe = new NamedPipeClientStream(".", address, PipeDirection.InOut, PipeOptions.Asynchronous);
        pipe.Connect(60000);
        return pipe;
    }

    static void Ask(PipeStream pipe, char kind, int size, long count)
    {
        var head = new byte[Request];
        head[0] = (byte)kind;
        BitConverter.GetBytes((long)size).CopyTo(head, 1);
        BitConverter.GetBytes(count).CopyTo(head, 9);
        pipe.Write(head, 0, Request);
    }

    static void Ping(PipeStream pipe)
    {
        Ask(pipe, 'p', 0, 0);
        Need(pipe, new byte[1], 1);
    }

    static long Nanoseconds(long from, long to)
    {
        return (long)((to - from) * (1e9 / Stopwatch.Frequency));
    }

    static void Work()
    {
        var pipe = Connect();
        var idle = new List<NamedPipeClientStream>();
        Console.WriteLine("ready");
        string line;
        while ((line = Console.ReadLine()) != null)
        {
            try
            {
                Console.WriteLine(Obey(line.Split(' '), pipe, idle));
            }
            catch (Exception error)
            {
                Console.WriteLine("error {0}: {1}", error.GetType().Name, error.Message);
            }
        }
    }

    static string Obey(string[] words, PipeStream pipe, List<NamedPipeClientStream> idle)
    {
        int first = int.Parse(words[1]);
        int second = words.Length > 2 ? int.Parse(words[2]) : 0;
        long began = Stopwatch.GetTimestamp();
        switch (words[0])
        {
            case "trip":
            {
                var piece = new byte[first];
                Ask(pipe, 'e', first, second);
                began = Stopwatch.GetTimestamp();
                for (int i = 0; i < second; i++)
                {
                    pipe.Write(piece, 0, first);
                    Need(pipe, piece, first);
                }
                break;
            }
            case "write":
            {
                var piece = new byte[first];
                Ask(pipe, 's', first, second);
                began = Stopwatch.GetTimestamp();
                for (int i = 0; i < second; i++)
                    pipe.Write(piece, 0, first);
                Need(pipe, piece, 1);
                break;
            }
            case "connect":
                for (int i = 0; i < first; i++)
                    using (var once = Connect())
                        Ping(once);
                break;
            case "storm":
                return Storm(first, second);
            case "idle":
                while (idle.Count < first)
                {
                    var more = Connect();
                    Ping(more);
                    idle.Add(more);
                }
                return "0";
            default:
                throw new ArgumentException("there is no such command: " + words[0]);
        }
        return Nanoseconds(began, Stopwatch.GetTimestamp()).ToString();
    }

    static string Storm(int clients, int rounds)
    {
        var times = new long[clients, rounds, 3];
        Exception failure = null;
        var threads = new Thread[clients];
        var gate = new Gate(clients);
        for (int client = 0; client < clients; client++)
        {
            int which = client;
            threads[client] = new Thread(() =>
            {
                for (int round = 0; round < rounds; round++)
                {
                    gate.Pass();
                    times[which, round, 0] = Stopwatch.GetTimestamp();
                    try
                    {
                        using (var pipe = Connect())
                        {
                            times[which, round, 1] = Stopwatch.GetTimestamp();
                            Ping(pipe);
                            times[which, round, 2] = Stopwatch.GetTimestamp();
                        }
                    }
                    catch (Exception error) { failure = error; }
                    // Nobody begins the next round before all have ended this one.
                    gate.Pass();
                }
            }, 131072);
            threads[client].Start();
        }
        foreach (var thread in threads)
            thread.Join();
        if (failure != null)
            throw failure;
        long total = 0;
        var connects = new List<long>();
        for (int round = 0; round < rounds; round++)
        {
            long first = long.MaxValue, last = 0;
            for (int client = 0; client < clients; client++)
            {
                first = Math.Min(first, times[client, round, 0]);
                last = Math.Max(last, times[client, round, 2]);
                connects.Add(Nanoseconds(times[client, round, 0], times[client, round, 1]));
            }
            total += Nanoseconds(first, last);
        }
        connects.Sort();
        return total + " " + connects[connects.Count / 2] + " " + connects[connects.Count * 99 / 100];
    }
}

// Opens once all have come, again and again. (Barrier is in an assembly of its own.)
class Gate
{
    readonly int all;
    int waiting;
    int times;

    public Gate(int all)
    {
        this.all = all;
    }

    public void Pass()
    {
        lock (this)
        {
            int now = times;
            if (++waiting == all)
            {
                waiting = 0;
                times++;
                Monitor.PulseAll(this);
            }
            while (now == times)
                Monitor.Wait(this);
        }
    }
}
