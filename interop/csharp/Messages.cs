// A client of a message pipe: Messages [PIPE [TEXT...]]. On Windows alone: .NET has no message mode elsewhere.
//
// Sends each text as one message, and prints the message that answers it. The server is examples/messages.rs.
//
// Run it with .NET 10 (dotnet run Messages.cs ...), in a project with an older SDK (dotnet new console), or compile it with
// the csc.exe that comes with every Windows
// (C:\Windows\Microsoft.NET\Framework64\v4.0.30319\csc.exe Messages.cs).

using System;
using System.IO;
using System.IO.Pipes;
using System.Text;

class Messages
{
    static int Main(string[] args)
    {
        string name = args.Length > 0 ? args[0] : "messages";

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
            // Without this it reads bytes, however the pipe was made.
            pipe.ReadMode = PipeTransmissionMode.Message;

            for (int i = 1; i < args.Length; i++)
            {
                // One Write is one message. A StreamWriter would make several of a long text.
                var message = Encoding.UTF8.GetBytes(args[i]);
                pipe.Write(message, 0, message.Length);
                string answer = ReadMessage(pipe);
                if (answer == null)
                {
                    Console.Error.WriteLine("The server has ended.");
                    return 1;
                }
                Console.WriteLine(answer);
            }
        }
        return 0;
    }

    // A whole message, however small the buffer is. Null: the server has closed.
    static string ReadMessage(PipeStream pipe)
    {
        var message = new MemoryStream();
        var buffer = new byte[256];
        do
        {
            int length = pipe.Read(buffer, 0, buffer.Length);
            if (length == 0)
                return null;
            message.Write(buffer, 0, length);
        } while (!pipe.IsMessageComplete);
        return Encoding.UTF8.GetString(message.ToArray());
    }
}
