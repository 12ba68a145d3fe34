//! What help and the manual say beyond one line for each option, and what a shell may complete.

use std::ffi::OsStr;

use clap::Command;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

/// What a command does, in full.
fn description(command: &str) -> &'static str {
    match command {
        "npipe" => {
            "nc, socat and pipelist for named pipes, the same on Windows and Unix. A name is spelled in every way that people \
             paste: mypipe, \\\\.\\pipe\\mypipe, npipe:////./pipe/mypipe; on Unix also the path of a socket, from the root or as \
             ./x.sock. stdout carries data alone; all else is said on stderr, an error in one line: what failed, on which \
             pipe, why, and what to do."
        }
        "demo" => {
            "Runs a server and a client in two processes and shows what they say, line by line. C# for either side can be put \
             in the place of one of them."
        }
        "connect" => {
            "Copies stdin to a pipe, and the pipe to stdout. A byte pipe of Windows cannot be closed for writing alone: there \
             --exit-on-eof ends once the server has read all of stdin, and --linger once it has been quiet for a while."
        }
        "ask" => {
            "Sends one request and prints its answer: TEXT is sent as a line, stdin as it is, and on a message pipe either is \
             one message. The answer is a line or a message, all up to --until, or all that comes until nothing has for \
             --linger."
        }
        "listen" => {
            "Serves a pipe. One client gets stdin and stdout, and that is all; with --keep one client after another does. \
             --echo sends back what comes, to any number at once, and --exec runs a program for each client, which is its \
             stdin and stdout. A program whose client has gone is told by the end of its input, asked to end after --grace \
             (SIGTERM; Windows has no such thing), and made to 2 seconds later; a client whose program has ended is told at \
             once, whatever the program has left behind."
        }
        "relay" => {
            "Listens at FROM, and for every client goes to TO and copies both ways. A half close is carried on. A client \
             that has gone ends its connection on both sides. Two threads serve each client, one for each way, so that one \
             that does not read holds up nobody else. With no descriptors left for more clients, those who are here stay, and \
             others wait."
        }
        "mux" => {
            "The far end of mux:COMMAND LINE: many clients of one relay go over the stdin and stdout of one program, each \
             with its own flow control, ends and messages."
        }
        "tap" => {
            "A relay that shows each chunk or message that passes, and changes nothing. Whoever stops watching cuts off nobody: \
             what is connected goes on to its end."
        }
        "replay" => {
            "Plays what tap has recorded: its clients to a server, or its server to clients."
        }
        "list" => {
            "Shows the existing pipes, by name, without opening any: an open would take an instance from a client. On Unix \
             those are the sockets where .NET puts a name; one whose server is gone is stale."
        }
        "info" => {
            "Shows what is known of one pipe without opening it. What shows only once one has connected is left out, until \
             --connect asks for it."
        }
        "doctor" => {
            "Finds out why a connection fails, and says what to do in plain words. It looks from outside first. If somebody \
             listens it then connects and leaves at once, and says what that has cost; --no-connect only looks."
        }
        "bench" => {
            "Measures round trips, connects and throughput between this process and a server process, with percentiles."
        }
        "completions" => {
            "Prints what makes a shell complete the commands, the options, and the names of existing pipes."
        }
        "man" => "Prints the manual page of npipe, or that of one of its commands.",
        "help" => "Prints all that there is to say of npipe, or of one of its commands.",
        _ => "",
    }
}

/// What an option means, in full.
fn option(command: &str, option: &str) -> &'static str {
    match option {
        "timeout" if command == "listen" => {
            "How long to wait for a client: 500ms, 5s, 1m30s, 1d, or a number of seconds; without it, for ever. With --echo \
             and --exec, how long nobody may be there."
        }
        "timeout" => {
            "How long to try: 500ms, 5s, 1m30s, 1d, or a number of seconds; none is for ever. Without it, 2s; with --wait, for \
             ever."
        }
        "wait" => {
            "Wait for a server that is not there yet: until it comes, unless --timeout says how long. A client that has left \
             meanwhile is waited for no more."
        }
        "impersonation" => {
            "Windows: what the server may do in your name: anonymous (not even learn who you are), identification (the \
             default: learn who you are), impersonation (open things as you), delegation (on other machines too)."
        }
        "expect_server" => {
            "Refuse any server but one of: current-user, a user's name, on Unix a number such as 1000, on Windows a SID such as \
             S-1-5-18 or SY. Nothing is sent to another."
        }
        "security" => {
            "Who may connect: owner (the default: this user; on Windows SYSTEM and Administrators too), everyone, default (the \
             system's), on Unix permission bits such as 0660, on Windows a security descriptor in SDDL."
        }
        "max_clients" => {
            "Serve at most N clients at once. Others wait, and are served when one has left; a program has its client's place \
             until it has ended."
        }
        "allow_shared_directory" => {
            "Unix: listen in a directory where another user could put a socket in the place of this one. It is refused \
             otherwise."
        }
        "grace" => {
            "How long a program may go on once its client has gone and its input has ended, before it is asked to end; none: \
             as long as it likes."
        }
        "message" => {
            "Messages: on stdin one is a line, or with =nul ends in a NUL, or with =raw is what one read brings; stdout shows \
             them alike. What listens makes a message pipe."
        }
        "access" => {
            "Read (r), write (w) or both (rw, the default), seen from here. A pipe that goes one way is open for that way \
             alone."
        }
        "progress" => {
            "Show bytes, rate and time on stderr, once a second where that is no terminal."
        }
        "exit_on_eof" => {
            "End once the peer has read all of stdin, and what it had sent until then has been written."
        }
        "linger" => {
            "Once the input has ended, end when nothing has come for so long. A TCP client whose end cannot be passed on to a \
             byte pipe of Windows is given 5s without this."
        }
        _ => "",
    }
}

const EXIT_STATUS: &str = "\
0  done
1  an I/O failure
2  wrong usage
3  no such pipe
4  timed out
5  not allowed, or not the expected server
6  the name is taken";

const ENVIRONMENT: &str = "\
TMPDIR    Unix: where a plain name has its socket; /tmp unless set
NO_COLOR  no colours, if it is set
NPIPE_NAME, NPIPE_PEER_PID, NPIPE_PEER_UID or NPIPE_PEER_SID
          what a program is told of the pipe and the client that it is run for";

const FILES: &str = r"$TMPDIR/CoreFxPipe_NAME, /tmp/CoreFxPipe_NAME
          Unix: the socket of the pipe NAME, as .NET names it
\\.\pipe\NAME
          Windows: the pipe NAME";

/// What stands below the options of the manual, and in part of `--help`.
pub fn sections() -> [(&'static str, &'static str); 3] {
    [
        ("EXIT STATUS", EXIT_STATUS),
        ("ENVIRONMENT", ENVIRONMENT),
        ("FILES", FILES),
    ]
}

/// The command line with all that can be said of it.
pub fn in_full(whole: Command) -> Command {
    let names: Vec<_> = whole
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| command.get_name().to_owned())
        .collect();
    let mut whole = explained(whole);
    for name in names {
        whole = whole.mut_subcommand(name, |command| completed(explained(command)));
    }
    whole
}

fn explained(command: Command) -> Command {
    let mut after = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    for (heading, text) in sections() {
        let (first, rest) = heading.split_at(1);
        after.push_str(&format!("\n\n{first}{}:", rest.to_lowercase()));
        text.lines()
            .for_each(|line| after.push_str(&format!("\n  {line}")));
    }
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let name = command.get_name().to_owned();
    let long = format!("{about}\n\n{}", description(command.get_name()));
    command
        .long_about(long)
        .after_long_help(after.trim_start().to_owned())
        .mut_args(move |arg| {
            let long = option(&name, arg.get_id().as_str());
            if long.is_empty() {
                arg
            } else {
                arg.long_help(long)
            }
        })
}

/// The positional arguments that name a pipe.
fn completed(command: Command) -> Command {
    if matches!(command.get_name(), "completions" | "help" | "man") {
        return command;
    }
    command.mut_args(|arg| match arg.get_id().as_str() {
        "name" | "from" | "to" => arg.add(ArgValueCompleter::new(pipes)),
        _ => arg,
    })
}

/// The existing pipes that begin so.
fn pipes(begun: &OsStr) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let pipes = npipe::list().unwrap_or_default();
    pipes
        .iter()
        .filter(|pipe| pipe.name().starts_with(&*begun))
        .map(|pipe| CompletionCandidate::new(pipe.name()))
        .collect()
}
