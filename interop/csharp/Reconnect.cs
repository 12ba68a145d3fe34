// A server that may be killed and started again at any moment: Reconnect [PIPE [slow]]
//
// Answers each line of its clients, one client after the other, and prints what it was asked. With "slow" it waits for a
// line on standard input before each answer: the moment to kill it. Its client is examples/reconnect.rs.
//
// Run it with .NET 10 (dotnet run Reconnect.cs), in a project with an older SDK (dotnet new console), or compile it with
// mono's mcs or the csc.exe that comes with every Windows
// (C:\Windows\Microsoft.NET\Framework64\v4.0.30319\csc.exe Reconnect.cs).

using System;
using System.IO;
using System.IO.Pipes;

class Reconnect
{
    static void Main(string[] args)
    {
        string name = args.Length > 0 ? args[0] : "reconnect";
        bool slow = args.Length > 1 && args[1] == "slow";

        while (true)
        {
            using (var pipe = new NamedPipeServerStream(name))
            {
                Console.Error.WriteLine("waiting for a client on {0}", name);
                pipe.WaitForConnection();
                try
                {
                    Serve(pipe, slow);
                }
                catch (IOException)
                {
                    // The client has gone before it had its answer. The next one may be the same again.
                }
            }
        }
    }

    static void Serve(Stream pipe, bool slow)
    {
        var reader = new StreamReader(pipe);
        var writer = new StreamWriter(pipe) { AutoFlush = true };
        string question;
        while ((question = reader.ReadLine()) != null)
        {
            Console.WriteLine("asked {0}", question);
            if (slow)
                Console.ReadLine();
            writer.WriteLine("answer to {0}", question);
        }
    }
}
