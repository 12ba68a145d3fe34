//go:build windows

// A go-winio peer that does what a test tells it to: peer serve|connect PIPE [OPTION...] [DEED...]
//
// It follows interop/csharp/Peer.cs in its words and in what it prints.
//
// Options, before the pipe is made:
//
//	message        message mode
//	in=N out=N     the buffer sizes of a server (0 and 0 unless said, as go-winio has it)
//	sddl=SDDL      the security of a server
//	timeout=MS     how long a client tries a busy server (10000 unless said)
//	times=N        a server serves N clients, one after the other
//
// Deeds, one after the other once there is a connection:
//
//	say=TEXT       write a line          hear           read a line, print "heard LINE" or "heard the end"
//	write=N        write N bytes         read=N         read N bytes, print "read N" or "read K, then the end"
//	exchange=N     both at once          echo           write back all that comes until its end, print "echoed N"
//	end            read until the end    print=TEXT     print TEXT
//	pause          wait for a line on standard input; for its end too, so that nothing outlives its test
//	send=N         N bytes in one write, which on a message pipe is one message
//	late-read=MS   a read that is to end at its deadline, print "timed out"
//	late-write=MS  writes without end, one of which is to end at its deadline, print "timed out"
//	close-write    the empty message that ends a message pipe's one direction, print "half closed"
//	disconnect     cut the client off, print "disconnected"
//	close          close the pipe, print "closed"
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/Microsoft/go-winio"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Printf("failed %v\n", err)
		os.Exit(2)
	}
}

func run(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("serve or connect, and a pipe")
	}
	side, name := words[0], `\\.\pipe\`+words[1]
	config := &winio.PipeConfig{}
	timeout := 10 * time.Second
	times := 1
	words = words[2:]
	for ; len(words) > 0; words = words[1:] {
		verb, value := split(words[0])
		switch verb {
		case "message":
			config.MessageMode = true
		case "in":
			config.InputBufferSize = int32(number(value))
		case "out":
			config.OutputBufferSize = int32(number(value))
		case "sddl":
			config.SecurityDescriptor = value
		case "timeout":
			timeout = time.Duration(number(value)) * time.Millisecond
		case "times":
			times = number(value)
		default:
			goto deeds
		}
	}
deeds:
	switch side {
	case "serve":
		return serve(name, config, times, words)
	case "connect":
		fmt.Println("connecting")
		pipe, err := winio.DialPipe(name, &timeout)
		if err != nil {
			return err
		}
		fmt.Println("connected")
		return do(pipe, words)
	}
	return fmt.Errorf("serve or connect, not %s", side)
}

func serve(name string, config *winio.PipeConfig, times int, words []string) error {
	listener, err := winio.ListenPipe(name, config)
	if err != nil {
		return err
	}
	defer listener.Close()
	// go-winio holds its name with an instance that it never serves. Windows 8 and later let nobody connect to that
	// one; Wine does, and the first client would hang there. So be the first client.
	if syscall.NewLazyDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		timeout := time.Second
		if pipe, err := winio.DialPipe(name, &timeout); err == nil {
			pipe.Close()
		}
	}
	fmt.Println("ready")
	for i := 0; i < times; i++ {
		pipe, err := listener.Accept()
		if err != nil {
			return err
		}
		fmt.Println("connected")
		if err := do(pipe, words); err != nil {
			return err
		}
	}
	return nil
}

func do(pipe net.Conn, words []string) error {
	defer pipe.Close()
	reader := bufio.NewReader(pipe)
	for _, word := range words {
		verb, value := split(word)
		var err error
		switch verb {
		case "say":
			_, err = io.WriteString(pipe, value+"\n")
		case "hear":
			var line string
			line, err = reader.ReadString('\n')
			if err == io.EOF {
				line, err = "the end", nil
			}
			if err == nil {
				fmt.Printf("heard %s\n", strings.TrimRight(line, "\r\n"))
			}
		case "write":
			err = write(pipe, number(value))
		case "read":
			err = read(reader, number(value))
		case "exchange":
			written := make(chan error)
			go func() { written <- write(pipe, number(value)) }()
			err = read(reader, number(value))
			if failed := <-written; err == nil {
				err = failed
			}
		case "echo":
			var total int64
			total, err = io.Copy(pipe, reader)
			fmt.Printf("echoed %d\n", total)
		case "send":
			_, err = pipe.Write(patterned(number(value)))
		case "late-read":
			var length int
			pipe.SetReadDeadline(later(value))
			length, err = reader.Read(make([]byte, 1))
			if err = timedOut(err); err == nil && length > 0 {
				err = errors.New("a byte came")
			}
			pipe.SetReadDeadline(time.Time{})
		case "late-write":
			pipe.SetWriteDeadline(later(value))
			for err == nil {
				_, err = pipe.Write(make([]byte, 16384))
			}
			err = timedOut(err)
			pipe.SetWriteDeadline(time.Time{})
		case "end":
			if _, err = io.Copy(io.Discard, reader); err == nil {
				fmt.Println("the end")
			}
		case "print":
			fmt.Println(value)
		case "pause":
			bufio.NewReader(os.Stdin).ReadString('\n')
		case "close-write":
			half, can := pipe.(interface{ CloseWrite() error })
			if !can {
				return fmt.Errorf("no CloseWrite on a byte pipe")
			}
			if err = half.CloseWrite(); err == nil {
				fmt.Println("half closed")
			}
		case "disconnect":
			if err = pipe.(winio.PipeConn).Disconnect(); err == nil {
				fmt.Println("disconnected")
			}
		case "close":
			err = pipe.Close()
			fmt.Println("closed")
		default:
			return fmt.Errorf("no such deed: %s", word)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
	}
	return nil
}

// An error that is the deadline's is what was asked for.
func timedOut(err error) error {
	if err == nil {
		return errors.New("it did not time out")
	}
	if !errors.Is(err, winio.ErrTimeout) {
		return err
	}
	fmt.Println("timed out")
	return nil
}

func later(milliseconds string) time.Time {
	return time.Now().Add(time.Duration(number(milliseconds)) * time.Millisecond)
}

func patterned(count int) []byte {
	bytes := make([]byte, count)
	for i := range bytes {
		bytes[i] = pattern(i)
	}
	return bytes
}

func write(pipe net.Conn, count int) error {
	bytes := patterned(count)
	for at := 0; at < count; at += 16384 {
		end := at + 16384
		if end > count {
			end = count
		}
		if _, err := pipe.Write(bytes[at:end]); err != nil {
			return err
		}
	}
	fmt.Printf("wrote %d\n", count)
	return nil
}

func read(reader io.Reader, count int) error {
	bytes := make([]byte, count)
	length, err := io.ReadFull(reader, bytes)
	for i := 0; i < length; i++ {
		if bytes[i] != pattern(i) {
			return fmt.Errorf("byte %d is wrong", i)
		}
	}
	switch err {
	case nil:
		fmt.Printf("read %d\n", count)
	case io.EOF, io.ErrUnexpectedEOF:
		fmt.Printf("read %d, then the end\n", length)
	default:
		return err
	}
	return nil
}

// The same as in interop/src/lib.rs.
func pattern(at int) byte {
	return byte(at*31 + at>>8)
}

func split(word string) (verb, value string) {
	verb, value, _ = strings.Cut(word, "=")
	return verb, value
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		fmt.Printf("failed %v\n", err)
		os.Exit(2)
	}
	return value
}
