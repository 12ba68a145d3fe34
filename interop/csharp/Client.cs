// The client of the conversation that README.md shows: Client [PIPE]
//
// Any server that follows it can be at the other end: Server.cs, examples/server.rs, your own.
//
// Run it with .NET 10 (dotnet run Client.cs), in a project with an older SDK (dotnet new console), or compile it with mono's
// mcs or the csc.exe that comes with every Windows
// (C:\Windows\Microsoft.NET\Framework64\v4.0.30319\csc.exe Client.cs).

using System;
using System.IO;
using System.IO.Pipes;

class Client
{
    static int Main(string[] args)
    {
        string name = args.Length > 0 ? args[0] : "mypipe";

        using (var pipe = new NamedPipeClientStream(name))
        {
            try
            {
                pipe.Connect(5000);
            }
            catch (TimeoutException)
            {
                Console.Error.WriteLine("No server came within 5 seconds. Start one first.");
                return 1;
            }

            var reader = new StreamReader(pipe);
            var writer = new StreamWriter(pipe) { AutoFlush = true };

            writer.WriteLine("Hello from C#");
            Console.WriteLine(reader.ReadLine());
            writer.WriteLine("C# is done");
        }
        return 0;
    }
}
