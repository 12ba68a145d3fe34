// .NET's HttpClient over a named pipe: Http connect NAME [DEED...]
//
// It follows interop/go/http in its deeds and in what it prints. One deed more:
//   version=1|2    the HTTP of the following deeds, 1.1 unless said

using System;
using System.Net.Http;
using System.Threading.Tasks;

class Http
{
    static HttpClient client;
    static PipeHttp counter;
    static int version = 1;

    static int Main(string[] args)
    {
        try
        {
            if (args.Length < 2 || args[0] != "connect") throw new ArgumentException("connect, and a name");
            client = PipeHttp.Client(args[1], out counter);
            for (int i = 2; i < args.Length; i++) Do(args[i]).Wait();
            return 0;
        }
        catch (Exception error)
        {
            Console.WriteLine("failed " + error.GetBaseException().Message);
            return 2;
        }
    }

    static async Task Do(string deed)
    {
        int sign = deed.IndexOf('=');
        string verb = sign < 0 ? deed : deed.Substring(0, sign);
        string value = sign < 0 ? "" : deed.Substring(sign + 1);
        switch (verb)
        {
            case "version":
                version = int.Parse(value);
                break;
            case "get":
                using (var answer = await client.SendAsync(PipeHttp.Request(HttpMethod.Get, value, version)))
                {
                    string body = await answer.Content.ReadAsStringAsync();
                    Console.WriteLine((int)answer.StatusCode + " " + body.TrimEnd());
                }
                break;
            case "echo":
                await Echo(int.Parse(value));
                break;
            case "many":
                var all = new Task<bool>[int.Parse(value)];
                for (int i = 0; i < all.Length; i++) all[i] = Hello();
                int came = 0;
                foreach (bool good in await Task.WhenAll(all)) came += good ? 1 : 0;
                Console.WriteLine(came + " of " + value);
                break;
            case "keep":
                int before = counter.Dialled;
                int kept = 0;
                for (int i = 0; i < int.Parse(value); i++) kept += await Hello() ? 1 : 0;
                Console.WriteLine(kept + " of " + value + " over " + (counter.Dialled - before) + " connections");
                break;
            case "pause":
                Console.In.ReadLine();
                break;
            default:
                throw new ArgumentException("no such deed: " + deed);
        }
    }

    static async Task<bool> Hello()
    {
        try
        {
            using (var answer = await client.SendAsync(PipeHttp.Request(HttpMethod.Get, "/hello", version)))
            {
                string body = await answer.Content.ReadAsStringAsync();
                return (int)answer.StatusCode == 200 && body.StartsWith("Hello");
            }
        }
        catch (HttpRequestException error)
        {
            Console.Error.WriteLine(error.GetBaseException().Message);
            return false;
        }
    }

    static async Task Echo(int count)
    {
        byte[] sent = new byte[count];
        for (int i = 0; i < count; i++) sent[i] = (byte)(i * 31 + (i >> 8));
        var request = PipeHttp.Request(HttpMethod.Post, "/echo", version);
        request.Content = new ByteArrayContent(sent);
        using (var answer = await client.SendAsync(request))
        {
            byte[] got = await answer.Content.ReadAsByteArrayAsync();
            bool same = got.Length == count;
            for (int i = 0; same && i < count; i++) same = got[i] == sent[i];
            if ((int)answer.StatusCode != 200 || !same)
            {
                throw new Exception("status " + (int)answer.StatusCode + ", " + got.Length + " bytes, or others");
            }
        }
        Console.WriteLine("echoed " + count);
    }
}
