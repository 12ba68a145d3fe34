// A Java peer that does what a test tells it to: Peer serve|connect PATH [OPTION...] [DEED...]
//
// PATH is the system's: \\.\pipe\NAME on Windows, which Java opens as a file and cannot serve, a socket's path elsewhere.
// It follows interop/csharp/Peer.cs in its words and in what it prints, and needs nothing but Java 17.
//
// Options, before the socket is made:
//   times=N        a server serves N clients, one after the other
//
// Deeds, one after the other once there is a connection:
//   say=TEXT       write a line          hear           read a line, print "heard LINE" or "heard the end"
//   write=N        write N bytes         read=N         read N bytes, print "read N" or "read K, then the end"
//   exchange=N     both at once; on Windows, where the handle of a file does one thing at a time, in turn. Print "read N"
//   echo           write back all that comes until its end, print "echoed N"
//   end            read until the end, print "the end"
//   print=TEXT     print TEXT            pause          wait for a line on standard input, or for its end
//   half-close     shutdownOutput        close          close the pipe, print "closed"
//
// Anything unexpected is printed as "failed", and the exit code is 2.

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;

public final class Peer {
    private static final int PIECE = 16384;

    /** Either end of a pipe, whatever it is made of. */
    private interface Pipe {
        /** Reads some bytes, or -1 at the end. */
        int read(byte[] buffer, int from, int length) throws IOException;

        void write(byte[] buffer, int from, int length) throws IOException;

        void halfClose() throws IOException;

        void close() throws IOException;

        /** Whether a read and a write may wait at the same time. */
        boolean isDuplex();
    }

    private static final class FilePipe implements Pipe {
        private final RandomAccessFile file;

        FilePipe(String path) throws IOException {
            file = new RandomAccessFile(path, "rw");
        }

        public int read(byte[] buffer, int from, int length) throws IOException {
            return file.read(buffer, from, length);
        }

        public void write(byte[] buffer, int from, int length) throws IOException {
            file.write(buffer, from, length);
        }

        public void halfClose() throws IOException {
            throw new IOException("a file has no half close");
        }

        public void close() throws IOException {
            file.close();
        }

        public boolean isDuplex() {
            return false;
        }
    }

    private static final class SocketPipe implements Pipe {
        private final SocketChannel channel;

        SocketPipe(SocketChannel channel) {
            this.channel = channel;
        }

        public int read(byte[] buffer, int from, int length) throws IOException {
            return channel.read(ByteBuffer.wrap(buffer, from, length));
        }

        public void write(byte[] buffer, int from, int length) throws IOException {
            ByteBuffer bytes = ByteBuffer.wrap(buffer, from, length);
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        }

        public void halfClose() throws IOException {
            channel.shutdownOutput();
        }

        public void close() throws IOException {
            channel.close();
        }

        public boolean isDuplex() {
            return true;
        }
    }

    private final Pipe pipe;

    private Peer(Pipe pipe) {
        this.pipe = pipe;
    }

    public static void main(String[] words) {
        try {
            run(words);
        } catch (Exception error) {
            say("failed " + error);
            System.exit(2);
        }
    }

    private static void run(String[] words) throws Exception {
        String side = words[0];
        String path = words[1];
        int times = 1;
        int first = 2;
        if (words.length > 2 && words[2].startsWith("times=")) {
            times = Integer.parseInt(value(words[2]));
            first = 3;
        }
        String[] deeds = Arrays.copyOfRange(words, first, words.length);
        if (side.equals("connect")) {
            say("connecting");
            Pipe pipe = path.startsWith("\\\\")
                ? new FilePipe(path)
                : new SocketPipe(SocketChannel.open(UnixDomainSocketAddress.of(path)));
            say("connected");
            new Peer(pipe).act(deeds);
        } else if (side.equals("serve")) {
            try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
                server.bind(UnixDomainSocketAddress.of(path));
                say("ready");
                for (int i = 0; i < times; i++) {
                    SocketChannel client = server.accept();
                    say("connected");
                    new Peer(new SocketPipe(client)).act(deeds);
                }
            }
        } else {
            throw new IllegalArgumentException("serve or connect, not " + side);
        }
    }

    private void act(String[] deeds) throws Exception {
        for (String deed : deeds) {
            String verb = deed.split("=", 2)[0];
            String value = value(deed);
            switch (verb) {
                case "say" -> {
                    byte[] line = (value + "\n").getBytes(StandardCharsets.UTF_8);
                    pipe.write(line, 0, line.length);
                }
                case "hear" -> say("heard " + hear());
                case "write" -> {
                    write(0, Integer.parseInt(value));
                    say("wrote " + value);
                }
                case "read" -> {
                    int count = Integer.parseInt(value);
                    int length = read(0, count);
                    say(length == count ? "read " + count : "read " + length + ", then the end");
                }
                case "exchange" -> exchange(Integer.parseInt(value));
                case "echo" -> echo();
                case "end" -> {
                    byte[] buffer = new byte[PIECE];
                    while (pipe.read(buffer, 0, PIECE) > 0) {
                        // It is the end that is waited for.
                    }
                    say("the end");
                }
                case "print" -> say(value);
                case "pause" -> {
                    int next;
                    do {
                        next = System.in.read();
                    } while (next != '\n' && next != -1);
                }
                case "half-close" -> pipe.halfClose();
                case "close" -> {
                    pipe.close();
                    say("closed");
                }
                default -> throw new IllegalArgumentException("no such deed: " + deed);
            }
        }
        pipe.close();
    }

    /** One line, read a byte at a time, so that nothing behind it is taken. */
    private String hear() throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        byte[] one = new byte[1];
        while (pipe.read(one, 0, 1) > 0) {
            if (one[0] == '\n') {
                return line.toString(StandardCharsets.UTF_8);
            }
            line.write(one[0]);
        }
        return line.size() == 0 ? "the end" : line.toString(StandardCharsets.UTF_8);
    }

    private void exchange(int count) throws Exception {
        if (pipe.isDuplex()) {
            Callable<Void> writing = () -> {
                write(0, count);
                return null;
            };
            FutureTask<Void> written = new FutureTask<>(writing);
            new Thread(written).start();
            if (read(0, count) != count) {
                throw new IOException("the end came early");
            }
            written.get();
        } else {
            for (int at = 0; at < count; at += PIECE) {
                int length = Math.min(PIECE, count - at);
                write(at, length);
                if (read(at, length) != length) {
                    throw new IOException("the end came early");
                }
            }
        }
        say("read " + count);
    }

    private void echo() throws IOException {
        byte[] buffer = new byte[PIECE];
        int total = 0;
        int length;
        while ((length = pipe.read(buffer, 0, PIECE)) > 0) {
            pipe.write(buffer, 0, length);
            total += length;
        }
        say("echoed " + total);
    }

    private void write(int from, int count) throws IOException {
        for (int done = 0; done < count; done += PIECE) {
            byte[] bytes = new byte[Math.min(PIECE, count - done)];
            for (int at = 0; at < bytes.length; at++) {
                bytes[at] = pattern(from + done + at);
            }
            pipe.write(bytes, 0, bytes.length);
        }
    }

    private int read(int from, int count) throws IOException {
        byte[] buffer = new byte[PIECE];
        int total = 0;
        while (total < count) {
            int length = pipe.read(buffer, 0, Math.min(PIECE, count - total));
            if (length <= 0) {
                break;
            }
            for (int at = 0; at < length; at++) {
                if (buffer[at] != pattern(from + total + at)) {
                    throw new IOException("byte " + (total + at) + " is wrong");
                }
            }
            total += length;
        }
        return total;
    }

    /** The same as in interop/src/lib.rs. */
    private static byte pattern(int at) {
        return (byte) (at * 31 + (at >> 8));
    }

    private static String value(String word) {
        int at = word.indexOf('=');
        return at < 0 ? "" : word.substring(at + 1);
    }

    private static void say(String text) {
        System.out.println(text);
        System.out.flush();
    }
}
