// A .NET peer that does what a test tells it to: Peer serve|connect PIPE [OPTION...] [DEED...]
//
// Options, before the pipe is made:
//   async          an asynchronous handle (PipeOptions.Asynchronous), which on Windows is what full duplex needs
//   current-user   PipeOptions.CurrentUserOnly
//   message        message mode, the reads too
//   direction=D    In, Out or InOut, seen from this side (InOut unless said)
//   in=N out=N     the buffer sizes of a server (0 and 0 unless said, as .NET has it)
//   timeout=MS     how long a client waits for its server (10000 unless said)
//   bom            the writer begins with a byte order mark: new StreamWriter(pipe, Encoding.UTF8)
//   crlf           the writer ends lines as on Windows, everywhere
//   times=N        a server serves N clients, one after the other; a client connects N times at once, from threads
//
// Deeds, one after the other once there is a connection:
//   say=TEXT       write a line          hear           read a line, print "heard LINE" or "heard the end"
//   write=N        write N bytes         read=N         read N bytes, print "read N" or "read K, then the end"
//   exchange=N     both at once          echo           write back all that comes until its end, print "echoed N"
//   end            read until the end    print=TEXT     print TEXT
//   pause          wait for a line on standard input; for its end too, so that nothing outlives its test
//   writer         make the writer, which with "bom" sends its mark at once
//   send=N         write N bytes in one piece, in message mode one message
//   hear-message=N read one message through a buffer of N bytes, print "part K" for each piece, and "whole"
//   is-connected   print "connected" or "not connected"
//   drain          WaitForPipeDrain, print "drained"
//   me             print "me USER"
//   user           print "user USER", by GetImpersonationUserName
//   as-client      print "me USER" from inside RunAsClient
//   disconnect     cut the client off, print "disconnected"
//   accept         wait for the next client, print "connected"
//   close          close the pipe, print "closed"
//
// A server prints "ready" once a client can come, a client "connecting" before it waits, both "connected". Bytes follow a pattern, and what is read is
// compared with it. Anything unexpected is printed as "failed", and the exit code is 2.

using System;
using System.IO;
using System.IO.Pipes;
using System.Text;
using System.Threading;

class Peer
{
    // By its number, since Mono's class library does not know the name.
    const PipeOptions CurrentUserOnly = (PipeOptions)0x20000000;

    static PipeOptions options = PipeOptions.None;
    static PipeTransmissionMode mode = PipeTransmissionMode.Byte;
    static PipeDirection direction = PipeDirection.InOut;
    static int inSize = 0;
    static int outSize = 0;
    static int timeout = 10000;
    static int times = 1;
    static bool bom = false;
    static bool crlf = false;

    static string name;
    static string[] words;
    static int deeds;

    static int Main(string[] args)
    {
        try
        {
            name = args[1];
            words = args;
            deeds = 2;
            while (deeds < args.Length && IsOption(args[deeds]))
                deeds++;
            if (args[0] == "serve")
                Serve();
            else if (args[0] == "connect")
                Connect();
            else
                throw new ArgumentException("serve or connect, not " + args[0]);
            return 0;
        }
        catch (Exception error)
        {
            Console.WriteLine("failed {0}: {1}", error.GetType().Name, error.Message);
            return 2;
        }
    }

    static bool IsOption(string word)
    {
        string value = Value(word);
        switch (Verb(word))
        {
            case "async": options |= PipeOptions.Asynchronous; return true;
            case "current-user": options |= CurrentUserOnly; return true;
            case "message": mode = PipeTransmissionMode.Message; return true;
            case "direction": direction = (PipeDirection)Enum.Parse(typeof(PipeDirection), value); return true;
            case "in": inSize = int.Parse(value); return true;
            case "out": outSize = int.Parse(value); return true;
            case "timeout": timeout = int.Parse(value); return true;
            case "times": times = int.Parse(value); return true;
            case "bom": bom = true; return true;
            case "crlf": crlf = true; return true;
            default: return false;
        }
    }

    static void Serve()
    {
        for (int i = 0; i < times; i++)
        {
            using (var pipe = new NamedPipeServerStream(
                name, direction, 1, mode, options, inSize, outSize))
            {
                Console.WriteLine("ready");
                pipe.WaitForConnection();
                Console.WriteLine("connected");
                Do(pipe);
            }
        }
    }

    static void Connect()
    {
        if (times == 1)
        {
            ConnectOnce();
            return;
        }
        Exception failure = null;
        var threads = new Thread[times];
        for (int i = 0; i < times; i++)
        {
            threads[i] = new Thread(() =>
            {
                try { ConnectOnce(); }
                catch (Exception error) { failure = error; }
            });
            threads[i].Start();
        }
        foreach (var thread in threads)
            thread.Join();
        if (failure != null)
            throw failure;
    }

    static void ConnectOnce()
    {
        using (var pipe = new NamedPipeClientStream(".", name, direction, options))
        {
            Console.WriteLine("connecting");
            pipe.Connect(timeout);
            Console.WriteLine("connected");
            if (mode == PipeTransmissionMode.Message)
                pipe.ReadMode = mode;
            Do(pipe);
        }
    }

    static void Do(PipeStream pipe)
    {
        StreamReader reader = null;
        StreamWriter writer = null;
        for (int i = deeds; i < words.Length; i++)
        {
            string value = Value(words[i]);
            switch (Verb(words[i]))
            {
                case "say":
                    writer = writer ?? NewWriter(pipe);
                    writer.WriteLine(value);
                    break;
                case "writer": writer = NewWriter(pipe); break;
                case "hear":
                    if (reader == null)
                        reader = new StreamReader(pipe);
                    string line = reader.ReadLine();
                    Console.WriteLine("heard {0}", line ?? "the end");
                    break;
                case "write": Write(pipe, int.Parse(value)); break;
                case "read": Read(pipe, int.Parse(value)); break;
                case "exchange":
                    int count = int.Parse(value);
                    var writing = new Thread(() => Write(pipe, count));
                    writing.Start();
                    Read(pipe, count);
                    writing.Join();
                    break;
                case "echo": Echo(pipe); break;
                case "send":
                    pipe.Write(Patterned(int.Parse(value)), 0, int.Parse(value));
                    break;
                case "hear-message": ReadMessage(pipe, int.Parse(value)); break;
                case "is-connected":
                    Console.WriteLine(pipe.IsConnected ? "connected" : "not connected");
                    break;
                case "drain":
                    pipe.WaitForPipeDrain();
                    Console.WriteLine("drained");
                    break;
                case "me": Console.WriteLine("me {0}", Environment.UserName); break;
                case "user":
                    Console.WriteLine("user {0}", ((NamedPipeServerStream)pipe).GetImpersonationUserName());
                    break;
                case "as-client":
                    ((NamedPipeServerStream)pipe).RunAsClient(
                        () => Console.WriteLine("me {0}", Environment.UserName));
                    break;
                case "disconnect":
                    ((NamedPipeServerStream)pipe).Disconnect();
                    Console.WriteLine("disconnected");
                    break;
                case "accept":
                    ((NamedPipeServerStream)pipe).WaitForConnection();
                    Console.WriteLine("connected");
                    reader = null;
                    writer = null;
                    break;
                case "end":
                    var rest = new byte[4096];
                    while (pipe.Read(rest, 0, rest.Length) > 0) { }
                    Console.WriteLine("the end");
                    break;
                case "print": Console.WriteLine(value); break;
                case "pause": Console.ReadLine(); break;
                case "close":
                    pipe.Dispose();
                    Console.WriteLine("closed");
                    break;
                default: throw new ArgumentException("no such deed: " + words[i]);
            }
        }
    }

    static StreamWriter NewWriter(PipeStream pipe)
    {
        var writer = bom ? new StreamWriter(pipe, Encoding.UTF8) : new StreamWriter(pipe);
        writer.AutoFlush = true;
        if (crlf)
            writer.NewLine = "\r\n";
        return writer;
    }

    static void ReadMessage(PipeStream pipe, int room)
    {
        var bytes = new byte[room];
        int at = 0;
        do
        {
            int length = pipe.Read(bytes, 0, room);
            Console.WriteLine("part {0}", length);
            for (int i = 0; i < length; i++)
                if (bytes[i] != Pattern(at + i))
                    throw new InvalidDataException("byte " + (at + i) + " is wrong");
            at += length;
        } while (!pipe.IsMessageComplete);
        Console.WriteLine("whole");
    }

    static byte[] Patterned(int count)
    {
        var bytes = new byte[count];
        for (int i = 0; i < count; i++)
            bytes[i] = Pattern(i);
        return bytes;
    }

    static void Write(PipeStream pipe, int count)
    {
        var bytes = Patterned(count);
        for (int at = 0; at < count; at += 16384)
            pipe.Write(bytes, at, Math.Min(16384, count - at));
        Console.WriteLine("wrote {0}", count);
    }

    static void Read(PipeStream pipe, int count)
    {
        var bytes = new byte[16384];
        int at = 0;
        while (at < count)
        {
            int length = pipe.Read(bytes, 0, Math.Min(bytes.Length, count - at));
            if (length == 0)
            {
                Console.WriteLine("read {0}, then the end", at);
                return;
            }
            for (int i = 0; i < length; i++)
                if (bytes[i] != Pattern(at + i))
                    throw new InvalidDataException("byte " + (at + i) + " is wrong");
            at += length;
        }
        Console.WriteLine("read {0}", count);
    }

    static void Echo(PipeStream pipe)
    {
        var bytes = new byte[16384];
        int total = 0;
        int length;
        while ((length = pipe.Read(bytes, 0, bytes.Length)) > 0)
        {
            pipe.Write(bytes, 0, length);
            total += length;
        }
        Console.WriteLine("echoed {0}", total);
    }

    // The same as in interop/src/lib.rs.
    static byte Pattern(int at)
    {
        return (byte)(at * 31 + (at >> 8));
    }

    static string Verb(string word)
    {
        int sign = word.IndexOf('=');
        return sign < 0 ? word : word.Substring(0, sign);
    }

    static string Value(string word)
    {
        return word.Substring(word.IndexOf('=') + 1);
    }
}
