// What .NET throws, and when: the table of docs/from-dotnet.md. Exceptions PIPE
//
// Prints a line for each case, the case and the exception, or "nothing". PIPE is the beginning of the names that it uses.

using System;
using System.IO;
using System.IO.Pipes;
using System.Threading;

class Exceptions
{
    static string name;

    static void Main(string[] args)
    {
        name = args[0];

        Case("no server comes", () => new NamedPipeClientStream(name).Connect(50));
        Case("a token ends Connect", () =>
            new NamedPipeClientStream(name).ConnectAsync(Soon()).GetAwaiter().GetResult());
        Case("a token ends WaitForConnection", () =>
        {
            using (var server = Server(PipeDirection.InOut, PipeTransmissionMode.Byte))
                server.WaitForConnectionAsync(Soon()).GetAwaiter().GetResult();
        });
        Case("the name is taken", () =>
        {
            using (Server(PipeDirection.InOut, PipeTransmissionMode.Byte))
            using (Server(PipeDirection.InOut, PipeTransmissionMode.Byte)) { }
        });
        Case("the access is denied", () =>
        {
            // A client that wants to write to a pipe that goes the other way.
            using (Server(PipeDirection.Out, PipeTransmissionMode.Byte))
            using (var client = new NamedPipeClientStream(name))
                client.Connect(5000);
        });
        Case("a name that is none", () => new NamedPipeServerStream("anonymous"));
        Case("not connected yet", () => new NamedPipeClientStream(name).ReadByte());
        Case("a client's second Connect", () => Connected((server, client) => client.Connect(50)));
        Case("a byte pipe has no messages", () => Connected((server, client) =>
        {
            if (client.IsMessageComplete) return;
        }));
        Case("against the direction", () =>
        {
            using (var server = Server(PipeDirection.In, PipeTransmissionMode.Byte))
                server.Write(new byte[1], 0, 1);
        });
        Case("disposed", () =>
        {
            var server = Server(PipeDirection.InOut, PipeTransmissionMode.Byte);
            server.Dispose();
            server.WaitForConnection();
        });
        Case("the peer has gone", () => Connected((server, client) =>
        {
            server.Dispose();
            for (int i = 0; i < 100; i++)
                client.Write(new byte[4096], 0, 4096);
        }));
        Case("a timeout of a read", () => Connected((server, client) => client.ReadTimeout = 50));
        Case("message mode", () => Server(PipeDirection.InOut, PipeTransmissionMode.Message).Dispose());
        Case("WaitForPipeDrain", () => Connected((server, client) => server.WaitForPipeDrain()));
        Case("NumberOfServerInstances", () => Connected((server, client) =>
        {
            if (client.NumberOfServerInstances < 1) return;
        }));
    }

    static void Case(string what, Action action)
    {
        string thrown = "nothing";
        try
        {
            action();
        }
        catch (Exception error)
        {
            thrown = Kind(error);
        }
        Console.WriteLine("{0}: {1}", what, thrown);
    }

    // The class that a program would catch: derived ones come first.
    static string Kind(Exception error)
    {
        if (error is TimeoutException) return "TimeoutException";
        if (error is OperationCanceledException) return "OperationCanceledException";
        if (error is UnauthorizedAccessException) return "UnauthorizedAccessException";
        if (error is ObjectDisposedException) return "ObjectDisposedException";
        if (error is InvalidOperationException) return "InvalidOperationException";
        if (error is PlatformNotSupportedException) return "PlatformNotSupportedException";
        if (error is NotSupportedException) return "NotSupportedException";
        if (error is ArgumentException) return "ArgumentException";
        if (error is IOException) return "IOException";
        return error.ToString();
    }

    static CancellationToken Soon()
    {
        return new CancellationTokenSource(50).Token;
    }

    static NamedPipeServerStream Server(PipeDirection direction, PipeTransmissionMode mode)
    {
        return new NamedPipeServerStream(name, direction, 1, mode, PipeOptions.Asynchronous, 4096, 4096);
    }

    static void Connected(Action<NamedPipeServerStream, NamedPipeClientStream> action)
    {
        using (var server = Server(PipeDirection.InOut, PipeTransmissionMode.Byte))
        using (var client = new NamedPipeClientStream(name))
        {
            var waiting = server.WaitForConnectionAsync();
            client.Connect(5000);
            waiting.Wait();
            action(server, client);
        }
    }
}
