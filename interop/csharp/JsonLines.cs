// A client of JSON lines: JsonLines [PIPE [TEXT...]]
//
// Sends each text to the server, prints its answer, and stays until the server ends, by Ctrl-C for one. The server is
// examples/json_lines.rs, or any that answers a line with a line.
//
// Run it with .NET 10 (dotnet run JsonLines.cs ...), in a project with an older SDK (dotnet new console), or compile it with
// mono's mcs or the csc.exe that comes with every Windows
// (C:\Windows\Microsoft.NET\Framework64\v4.0.30319\csc.exe JsonLines.cs).

using System;
using System.IO;
using System.IO.Pipes;
using System.Text;

class JsonLines
{
    static int Main(string[] args)
    {
        string name = args.Length > 0 ? args[0] : "jsonlines";

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
            try
            {
                for (int i = 1; i < args.Length; i++)
                {
                    writer.WriteLine("{{\"id\":{0},\"text\":{1}}}", i, Quote(args[i]));
                    string answer = reader.ReadLine();
                    if (answer == null)
                        break;
                    Console.WriteLine(answer);
                }
                while (reader.ReadLine() != null) { }
            }
            catch (IOException)
            {
                // It ended while something of ours was on the way to it.
            }
            Console.WriteLine("the server has ended");
        }
        return 0;
    }

    // A text as JSON has it. A program with a JSON library at hand uses that.
    static string Quote(string text)
    {
        var json = new StringBuilder("\"");
        foreach (char c in text)
        {
            if (c == '"' || c == '\\')
                json.Append('\\').Append(c);
            else if (c < ' ')
                json.AppendFormat("\\u{0:x4}", (int)c);
            else
                json.Append(c);
        }
        return json.Append('"').ToString();
    }
}
