// The server of the conversation that README.md shows: Server [PIPE]
//
// Any client that follows it can be at the other end: Client.cs, examples/client.rs, your own.
//
// Run it with .NET 10 (dotnet run Server.cs), in a project with an older SDK (dotnet new console), or compile it with mono's
// mcs or the csc.exe that comes with every Windows
// (C:\Windows\Microsoft.NET\Framework64\v4.0.30319\csc.exe Server.cs).

using System;
using System.IO;
using System.IO.Pipes;

class Server
{
    static void Main(string[] args)
    {
        string name = args.Length > 0 ? args[0] : "mypipe";

        using (var pipe = new NamedPipeServerStream(name))
        {
            Console.Error.WriteLine("waiting for a client on {0}", name);
            pipe.WaitForConnection();

            var reader = new StreamReader(pipe);
            var writer = new StreamWriter(pipe) { AutoFlush = true };

            Console.WriteLine(reader.ReadLine());
            writer.WriteLine("Hello from C#");
            Console.WriteLine(reader.ReadLine());
        }
    }
}
