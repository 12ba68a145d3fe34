/* A plain Win32 peer that does what a test tells it to: peer serve|connect PIPE [OPTION...] [DEED...]
 *
 * Its handles are synchronous, as those of most C programs are: one call after the other, a read between two writes. It
 * follows interop/csharp/Peer.cs in its words and in what it prints, and needs nothing but a C compiler for Windows.
 *
 * Besides:
 *   peer call PIPE MS TEXT   CallNamedPipe: one message there, one back; prints "answered TEXT"
 *   peer wait PIPE MS        WaitNamedPipe; prints "available"
 *
 * Options, before the pipe is made or opened:
 *   message        a server's pipe has messages; either side reads in message mode
 *   direction=D    in, out or duplex, seen from this side (duplex unless said)
 *   in=N out=N     the buffer sizes of a server (0 and 0 unless said)
 *   timeout=MS     how long a client waits for an instance, by WaitNamedPipe (10000 unless said)
 *
 * Deeds, one after the other once there is a connection:
 *   say=TEXT       write a line          hear           read a line, print "heard LINE" or "heard the end"
 *   write=N        write N bytes         read=N         read N bytes, print "read N" or "read K, then the end"
 *   exchange=N     a piece there and a piece back, until it was N bytes; print "read N"
 *   end            read until the end    echo           write back all that comes until its end, print "echoed N"
 *   send=N         write N bytes in one piece, in message mode one message
 *   hear-message=N read one message through a buffer of N bytes, print "part K" for each piece, and "whole"
 *   transact=TEXT  TransactNamedPipe with room for 8 bytes, the rest by reading; print "answered TEXT"
 *   peek           PeekNamedPipe, print "N bytes, M in the message"
 *   state          GetNamedPipeInfo and GetNamedPipeHandleState, print "byte" or "message", then "reads bytes" or
 *                  "reads messages"
 *   flush          FlushFileBuffers, print "flushed"
 *   process        GetNamedPipeClientProcessId or its counterpart, print "process N"
 *   disconnect     DisconnectNamedPipe, print "disconnected"
 *   accept         ConnectNamedPipe once more, on the same instance; print "connected"
 *   print=TEXT     print TEXT
 *   pause          wait for a line on standard input; for its end too, so that nothing outlives its test
 *   close          close the handle, print "closed"
 *
 * A server prints "ready" once a client can come, a client "connecting" before it waits, both "connected". Anything
 * unexpected is printed as "failed CALL ERROR", and the exit code is 2.
 */

/* GetNamedPipeClientProcessId is of Windows Vista. */
#define _WIN32_WINNT 0x0600
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 16384

/* On a pipe without buffers a write ends once all of it was read, so nobody may answer the first part of it and be waited
 * for meanwhile. So much npipe reads ahead of its own write. */
#define EXCHANGED 4096

static HANDLE pipe = INVALID_HANDLE_VALUE;
static BOOL server = FALSE;

/* What was read and not yet asked for, since a line may come with what is behind it. */
static char ahead[PIECE];
static DWORD ahead_from = 0, ahead_to = 0;

static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void fail(const char *call)
{
    say("failed %s %lu", call, GetLastError());
    exit(2);
}

static void broken(const char *what)
{
    say("failed %s", what);
    exit(2);
}

/* The same as in interop/src/lib.rs. */
static char pattern(DWORD at)
{
    return (char)(at * 31 + (at >> 8));
}

static char *patterned(DWORD from, DWORD count)
{
    char *bytes = malloc(count + 1);
    DWORD at;
    for (at = 0; at < count; at++)
        bytes[at] = pattern(from + at);
    return bytes;
}

/* Reads some bytes, or none at the end. In message mode the rest of a long message is simply the next read. */
static DWORD read_some(char *buffer, DWORD room)
{
    DWORD length = 0;
    if (ahead_from < ahead_to) {
        length = min(room, ahead_to - ahead_from);
        memcpy(buffer, ahead + ahead_from, length);
        ahead_from += length;
        return length;
    }
    if (!ReadFile(pipe, buffer, room, &length, NULL)) {
        if (GetLastError() == ERROR_BROKEN_PIPE)
            return 0;
        if (GetLastError() != ERROR_MORE_DATA)
            fail("ReadFile");
    }
    return length;
}

static void write_all(const char *buffer, DWORD count)
{
    DWORD written;
    if (!WriteFile(pipe, buffer, count, &written, NULL))
        fail("WriteFile");
    if (written != count)
        broken("WriteFile: it wrote a part");
}

/* One line, or NULL at the end. */
static char *hear(void)
{
    static char line[1024];
    DWORD length = 0;
    while (length < sizeof line - 1) {
        if (ahead_from == ahead_to) {
            ahead_to = read_some(ahead, sizeof ahead);
            ahead_from = 0;
            if (ahead_to == 0) {
                if (length == 0)
                    return NULL;
                break;
            }
        }
        line[length] = ahead[ahead_from++];
        if (line[length] == '\n')
            break;
        length++;
    }
    line[length] = '\0';
    return line;
}

/* Reads so many bytes of the pattern, or to the end. */
static DWORD read_patterned(DWORD from, DWORD count)
{
    char buffer[PIECE];
    DWORD total = 0, at;
    while (total < count) {
        DWORD length = read_some(buffer, min(sizeof buffer, count - total));
        if (length == 0)
            break;
        for (at = 0; at < length; at++)
            if (buffer[at] != pattern(from + total + at))
                broken("a byte is wrong");
        total += length;
    }
    return total;
}

static void write_patterned(DWORD from, DWORD count)
{
    while (count > 0) {
        DWORD piece = min(PIECE, count);
        char *bytes = patterned(from, piece);
        write_all(bytes, piece);
        free(bytes);
        from += piece;
        count -= piece;
    }
}

static void hear_message(DWORD room)
{
    char *buffer = malloc(room);
    DWORD length = 0;
    BOOL whole = FALSE;
    while (!whole) {
        whole = ReadFile(pipe, buffer, room, &length, NULL);
        if (!whole && GetLastError() == ERROR_BROKEN_PIPE) {
            say("the end");
            break;
        }
        if (!whole && GetLastError() != ERROR_MORE_DATA)
            fail("ReadFile");
        say("part %lu", length);
    }
    if (whole)
        say("whole");
    free(buffer);
}

static void transact(const char *text)
{
    char answer[1024];
    DWORD length = 0, more = 0;
    BOOL whole = TransactNamedPipe(pipe, (void *)text, (DWORD)strlen(text), answer, 8, &length, NULL);
    while (!whole) {
        if (GetLastError() != ERROR_MORE_DATA)
            fail("TransactNamedPipe");
        whole = ReadFile(pipe, answer + length, (DWORD)sizeof answer - length - 1, &more, NULL);
        length += more;
    }
    answer[length] = '\0';
    say("answered %s", answer);
}

static void state(void)
{
    DWORD flags, how;
    if (!GetNamedPipeInfo(pipe, &flags, NULL, NULL, NULL))
        fail("GetNamedPipeInfo");
    if (!GetNamedPipeHandleState(pipe, &how, NULL, NULL, NULL, NULL, 0))
        fail("GetNamedPipeHandleState");
    say(flags & PIPE_TYPE_MESSAGE ? "message" : "byte");
    say(how & PIPE_READMODE_MESSAGE ? "reads messages" : "reads bytes");
}

static void accept(void)
{
    /* A client that came before, or has even left again, is as good as one that comes now. */
    if (!ConnectNamedPipe(pipe, NULL) && GetLastError() != ERROR_PIPE_CONNECTED && GetLastError() != ERROR_NO_DATA)
        fail("ConnectNamedPipe");
    say("connected");
}

static void act(char *word)
{
    char *value = strchr(word, '=');
    DWORD number = 0, total = 0, length;
    char buffer[PIECE];
    if (value != NULL) {
        *value++ = '\0';
        number = strtoul(value, NULL, 10);
    }
    if (strcmp(word, "say") == 0) {
        length = (DWORD)_snprintf(buffer, sizeof buffer, "%s\n", value);
        write_all(buffer, length);
    } else if (strcmp(word, "hear") == 0) {
        char *line = hear();
        say("heard %s", line == NULL ? "the end" : line);
    } else if (strcmp(word, "write") == 0) {
        write_patterned(0, number);
        say("wrote %lu", number);
    } else if (strcmp(word, "read") == 0) {
        total = read_patterned(0, number);
        say(total == number ? "read %lu" : "read %lu, then the end", total);
    } else if (strcmp(word, "exchange") == 0) {
        while (total < number) {
            length = min(EXCHANGED, number - total);
            write_patterned(total, length);
            if (read_patterned(total, length) != length)
                broken("the end came early");
            total += length;
        }
        say("read %lu", total);
    } else if (strcmp(word, "echo") == 0) {
        while ((length = read_some(buffer, sizeof buffer)) > 0) {
            write_all(buffer, length);
            total += length;
        }
        say("echoed %lu", total);
    } else if (strcmp(word, "end") == 0) {
        while (read_some(buffer, sizeof buffer) > 0) {
        }
        say("the end");
    } else if (strcmp(word, "send") == 0) {
        char *bytes = patterned(0, number);
        write_all(bytes, number);
        free(bytes);
    } else if (strcmp(word, "hear-message") == 0) {
        hear_message(number);
    } else if (strcmp(word, "transact") == 0) {
        transact(value);
    } else if (strcmp(word, "peek") == 0) {
        if (!PeekNamedPipe(pipe, NULL, 0, NULL, &total, &length))
            fail("PeekNamedPipe");
        say("%lu bytes, %lu in the message", total, length);
    } else if (strcmp(word, "state") == 0) {
        state();
    } else if (strcmp(word, "flush") == 0) {
        if (!FlushFileBuffers(pipe))
            fail("FlushFileBuffers");
        say("flushed");
    } else if (strcmp(word, "process") == 0) {
        if (!(server ? GetNamedPipeClientProcessId : GetNamedPipeServerProcessId)(pipe, &number))
            fail("GetNamedPipeProcessId");
        say("process %lu", number);
    } else if (strcmp(word, "disconnect") == 0) {
        if (!DisconnectNamedPipe(pipe))
            fail("DisconnectNamedPipe");
        ahead_from = ahead_to = 0;
        say("disconnected");
    } else if (strcmp(word, "accept") == 0) {
        accept();
    } else if (strcmp(word, "print") == 0) {
        say("%s", value);
    } else if (strcmp(word, "pause") == 0) {
        while ((length = (DWORD)getchar()) != '\n' && length != (DWORD)EOF) {
        }
    } else if (strcmp(word, "close") == 0) {
        CloseHandle(pipe);
        say("closed");
    } else {
        broken(word);
    }
}

/* A client that finds every instance taken waits for one, and then has to be the first to open it. */
static void connect(const char *name, DWORD access, BOOL messages, DWORD timeout)
{
    say("connecting");
    for (;;) {
        pipe = CreateFileA(name, access, 0, NULL, OPEN_EXISTING, 0, NULL);
        if (pipe != INVALID_HANDLE_VALUE)
            break;
        if (GetLastError() != ERROR_PIPE_BUSY)
            fail("CreateFile");
        if (!WaitNamedPipeA(name, timeout))
            fail("WaitNamedPipe");
    }
    if (messages) {
        DWORD how = PIPE_READMODE_MESSAGE;
        if (!SetNamedPipeHandleState(pipe, &how, NULL, NULL))
            fail("SetNamedPipeHandleState");
    }
    say("connected");
}

int main(int count, char **words)
{
    char name[300];
    DWORD in = 0, out = 0, timeout = 10000, access = GENERIC_READ | GENERIC_WRITE, open = PIPE_ACCESS_DUPLEX;
    BOOL messages = FALSE;
    int at;

    if (count < 3)
        broken("serve, connect, call or wait, and a pipe");
    _snprintf(name, sizeof name - 1, "\\\\.\\pipe\\%s", words[2]);
    name[sizeof name - 1] = '\0';

    if (strcmp(words[1], "call") == 0 && count == 5) {
        char answer[1024];
        DWORD length;
        if (!CallNamedPipeA(name, words[4], (DWORD)strlen(words[4]), answer, sizeof answer - 1, &length,
                            strtoul(words[3], NULL, 10)))
            fail("CallNamedPipe");
        answer[length] = '\0';
        say("answered %s", answer);
        return 0;
    }
    if (strcmp(words[1], "wait") == 0 && count == 4) {
        if (!WaitNamedPipeA(name, strtoul(words[3], NULL, 10)))
            fail("WaitNamedPipe");
        say("available");
        return 0;
    }

    for (at = 3; at < count; at++) {
        if (strcmp(words[at], "message") == 0)
            messages = TRUE;
        else if (strncmp(words[at], "in=", 3) == 0)
            in = strtoul(words[at] + 3, NULL, 10);
        else if (strncmp(words[at], "out=", 4) == 0)
            out = strtoul(words[at] + 4, NULL, 10);
        else if (strncmp(words[at], "timeout=", 8) == 0)
            timeout = strtoul(words[at] + 8, NULL, 10);
        else if (strcmp(words[at], "direction=in") == 0)
            access = GENERIC_READ, open = PIPE_ACCESS_INBOUND;
        else if (strcmp(words[at], "direction=out") == 0)
            access = GENERIC_WRITE, open = PIPE_ACCESS_OUTBOUND;
        else
            break;
    }
    if (strcmp(words[1], "serve") == 0) {
        DWORD mode = messages ? PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE : PIPE_TYPE_BYTE | PIPE_READMODE_BYTE;
        server = TRUE;
        pipe = CreateNamedPipeA(name, open, mode | PIPE_WAIT, 1, out, in, 0, NULL);
        if (pipe == INVALID_HANDLE_VALUE)
            fail("CreateNamedPipe");
        say("ready");
        accept();
    } else if (strcmp(words[1], "connect") == 0) {
        connect(name, access, messages, timeout);
    } else {
        broken("serve, connect, call or wait");
    }
    for (; at < count; at++)
        act(words[at]);
    return 0;
}
