// Shows how far a job is: Progress [PIPE [COUNT [MS]]]
//
// Prints each value that comes until the job ends, or COUNT of them (0: all), and takes MS milliseconds over each. It may
// come late and read slowly: the job, examples/progress.rs, does not wait for it.
//
// Run it with .NET 10 (dotnet run Progress.cs), in a project with an older SDK (dotnet new console), or compile it with
// mono's mcs or the csc.exe that comes with every Windows
// (C:\Windows\Microsoft.NET\Framework64\v4.0.30319\csc.exe Progress.cs).

using System;
using System.IO;
using System.IO.Pipes;
using System.Threading;

class Progress
{
    static int Main(string[] args)
    {
        string name = args.Length > 0 ? args[0] : "progress";
        int count = args.Length > 1 ? int.Parse(args[1]) : 0;
        int pause = args.Length > 2 ? int.Parse(args[2]) : 0;

        // In: the job lets its clients read and nothing else.
        using (var pipe = new NamedPipeClientStream(".", name, PipeDirection.In))
        {
            try
            {
                pipe.Connect(5000);
            }
            catch (TimeoutException)
            {
                Console.Error.WriteLine("No job came within 5 seconds. Start one first.");
                return 1;
            }

            var reader = new StreamReader(pipe);
            string value;
            for (int i = 0; count == 0 || i < count; i++)
            {
                if ((value = reader.ReadLine()) == null)
                    break;
                Console.WriteLine(value);
                Thread.Sleep(pause);
            }
        }
        return 0;
    }
}
