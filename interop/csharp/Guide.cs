// What docs/from-dotnet.md shows in C#, so that it is compiled. A test compares the two; nobody runs it.

using System;
using System.IO;
using System.IO.Pipes;
using System.Security.Principal;

static class Guide
{
    static void Main() { }

    public static void Serve()
    {
        using (var pipe = new NamedPipeServerStream("mypipe", PipeDirection.InOut,
            NamedPipeServerStream.MaxAllowedServerInstances, PipeTransmissionMode.Byte,
            PipeOptions.Asynchronous, 65536, 65536))
        {
            pipe.WaitForConnection();
        }
    }

    public static void Connect()
    {
        using (var pipe = new NamedPipeClientStream(".", "mypipe", PipeDirection.InOut,
            PipeOptions.CurrentUserOnly, TokenImpersonationLevel.Impersonation))
        {
            pipe.Connect(5000);
        }
    }

    public static object Exceptions(NamedPipeClientStream pipe, Action<int> Log)
    {
        try { pipe.Connect(5000); }
        catch (TimeoutException) { return null; }
        catch (IOException error) { Log(error.HResult & 0xFFFF); throw; }
        return pipe;
    }

    public static MemoryStream Message(NamedPipeClientStream pipe, byte[] buffer)
    {
        pipe.ReadMode = PipeTransmissionMode.Message;
        var message = new MemoryStream();
        do
        {
            int length = pipe.Read(buffer, 0, buffer.Length);
            message.Write(buffer, 0, length);
        } while (!pipe.IsMessageComplete);
        return message;
    }
}
