// A start that hands its arguments to the program that runs already: SingleInstance [PIPE [ARGUMENT...]]
//
// That program is examples/single_instance.rs, which gets the directory and the arguments in a line of JSON and answers
// "taken". Nobody there: it says so, and the exit code is 1.
//
// Run it with .NET 10 (dotnet run SingleInstance.cs ...), in a project with an older SDK (dotnet new console), or compile it
// with mono's mcs or the csc.exe that comes with every Windows
// (C:\Windows\Microsoft.NET\Framework64\v4.0.30319\csc.exe SingleInstance.cs).

using System;
using System.IO;
using System.IO.Pipes;
using System.Text;

class SingleInstance
{
    static int Main(string[] args)
    {
        string name = args.Length > 0 ? args[0] : "single-instance";

        using (var pipe = new NamedPipeClientStream(name))
        {
            try
            {
                pipe.Connect(2000);
            }
            catch (TimeoutException)
            {
                Console.Error.WriteLine("The program does not run. Start it first.");
                return 1;
            }

            var arguments = new string[args.Length > 0 ? args.Length - 1 : 0];
            for (int i = 0; i < arguments.Length; i++)
                arguments[i] = Quote(args[i + 1]);
            var reader = new StreamReader(pipe);
            var writer = new StreamWriter(pipe) { AutoFlush = true };
            try
            {
                // In one piece: the braces of a format string would have to be doubled.
                writer.WriteLine("{\"directory\":" + Quote(Environment.CurrentDirectory)
                    + ",\"arguments\":[" + string.Join(",", arguments) + "]}");
                if (reader.ReadLine() == "taken")
                {
                    Console.WriteLine("handed over");
                    return 0;
                }
            }
            catch (IOException)
            {
            }
            Console.Error.WriteLine("The program has ended meanwhile. Start it again.");
            return 1;
        }
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
