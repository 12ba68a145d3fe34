// Makes any .NET program run another one, as `dotnet PROGRAM.dll ARGUMENTS` would: .NET calls Initialize before the
// program's own Main when the environment's DOTNET_STARTUP_HOOKS names this assembly.

using System;
using System.Reflection;

class StartupHook
{
    public static void Initialize()
    {
        string[] words = Environment.GetCommandLineArgs();
        var arguments = new string[words.Length - 2];
        Array.Copy(words, 2, arguments, 0, arguments.Length);
        MethodInfo main = Assembly.LoadFrom(words[1]).EntryPoint;
        // A Main without parameters is given none.
        bool takesArguments = main.GetParameters().Length > 0;
        object code = main.Invoke(null, takesArguments ? new object[] { arguments } : null);
        Environment.Exit(code is int ? (int)code : 0);
    }
}
