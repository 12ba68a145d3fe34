// .NET's own HTTP client over a named pipe, as .NET 5 and later have it. In a program for .NET 8 this is
//
//   var handler = new SocketsHttpHandler {
//       ConnectCallback = async (context, token) => {
//           var pipe = new NamedPipeClientStream(".", name, PipeDirection.InOut, PipeOptions.Asynchronous);
//           await pipe.ConnectAsync(token);
//           return pipe;
//       }
//   };
//
// and nothing by reflection. Here it is compiled against .NET Core 3.1, which does not know the callback.

using System;
using System.IO;
using System.IO.Pipes;
using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;

class PipeHttp
{
    const int ConnectTimeout = 30000;

    readonly string name;
    int dialled;

    PipeHttp(string name)
    {
        this.name = name;
    }

    /// How many connections there have been.
    public int Dialled
    {
        get { return dialled; }
    }

    /// A client whose every connection is one to that pipe.
    public static HttpClient Client(string name, out PipeHttp counter)
    {
        counter = new PipeHttp(name);
        var handler = new SocketsHttpHandler();
        var callback = typeof(SocketsHttpHandler).GetProperty("ConnectCallback");
        callback.SetValue(handler, Delegate.CreateDelegate(callback.PropertyType, counter, typeof(PipeHttp).GetMethod("Dial")));
        var client = new HttpClient(handler);
        client.BaseAddress = new Uri("http://localhost/");
        return client;
    }

    /// A request by exactly that version of HTTP; without TLS, 2.0 has to be known beforehand.
    public static HttpRequestMessage Request(HttpMethod method, string path, int major)
    {
        var request = new HttpRequestMessage(method, path);
        request.Version = new Version(major, major == 1 ? 1 : 0);
        var policy = typeof(HttpRequestMessage).GetProperty("VersionPolicy");
        policy.SetValue(request, Enum.Parse(policy.PropertyType, "RequestVersionExact"));
        return request;
    }

    public ValueTask<Stream> Dial(object context, CancellationToken token)
    {
        return new ValueTask<Stream>(Connect(token));
    }

    async Task<Stream> Connect(CancellationToken token)
    {
        Interlocked.Increment(ref dialled);
        var pipe = new NamedPipeClientStream(".", name, PipeDirection.InOut, PipeOptions.Asynchronous);
        await pipe.ConnectAsync(ConnectTimeout, token);
        return pipe;
    }
}
