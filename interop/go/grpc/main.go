// grpc-go over a pipe, as a server or as a client of interop/proto/talk.proto: grpc serve|connect PATH [DEED...]
//
// PATH is the system's own: \\.\pipe\NAME on Windows, where go-winio dials and listens, else the socket's path.
//
// A server serves until its standard input ends. It prints "ready", the name of every call as it begins, and
// "Count was cancelled" or "Chat was cancelled" where its client gives one up or is too late.
//
// A client does its deeds one after the other, over one connection:
//
//	say=TEXT        print "said ANSWER"
//	count=N         print "counted N"
//	chat=N          N words, each once the one before has come back, print "chatted N"
//	streams=N       N times Count to 100 at once, print "streamed N"
//	deadline=MS     a Count without end and with that deadline, print "status 4" once it has passed
//	cancel=N        a Count without end, given up after N, print "status 1"
//	pause           wait for a line on standard input, or for its end
//
// A call that fails is printed as "status CODE MESSAGE". Anything else that is unexpected is printed as "failed ...",
// and the exit code is 2.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"npipe/peer/pipe"
	"npipe/peer/talk"
)

const withoutEnd = 1 << 30

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Printf("failed %v\n", err)
		os.Exit(2)
	}
}

func run(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("serve or connect, and a path")
	}
	switch words[0] {
	case "serve":
		return serve(words[1])
	case "connect":
		return connect(words[1], words[2:])
	}
	return fmt.Errorf("serve or connect, not %s", words[0])
}

type server struct {
	talk.UnimplementedTalkServer
}

func (server) Say(_ context.Context, words *talk.Words) (*talk.Words, error) {
	fmt.Println("Say")
	if words.Text == "" {
		return nil, status.Error(codes.InvalidArgument, "say something")
	}
	return &talk.Words{Text: "Hello, " + words.Text}, nil
}

func (server) Count(span *talk.Span, stream talk.Talk_CountServer) error {
	fmt.Println("Count")
	for number := uint32(1); number <= span.Count; number++ {
		select {
		case <-time.After(time.Duration(span.PauseMs) * time.Millisecond):
		case <-stream.Context().Done():
		}
		err := stream.Context().Err()
		if err == nil {
			err = stream.Send(&talk.Number{Number: number})
		}
		if err != nil {
			fmt.Println("Count was cancelled")
			return err
		}
	}
	return nil
}

func (server) Chat(stream talk.Talk_ChatServer) error {
	fmt.Println("Chat")
	for {
		words, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = stream.Send(words)
		}
		if err != nil {
			fmt.Println("Chat was cancelled")
			return err
		}
	}
}

func serve(path string) error {
	listener, err := pipe.Listen(path)
	if err != nil {
		return err
	}
	serving := grpc.NewServer()
	talk.RegisterTalkServer(serving, server{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		serving.GracefulStop()
	}()
	fmt.Println("ready")
	return serving.Serve(listener)
}

func connect(path string, deeds []string) error {
	// The name goes to the dialler alone, so nothing is to be looked up; the authority is what HTTP/2 asks for.
	connection, err := grpc.NewClient(
		"passthrough:///pipe",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("localhost"),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return pipe.Dial(ctx, path)
		}),
	)
	if err != nil {
		return err
	}
	defer connection.Close()
	client := talk.NewTalkClient(connection)
	stdin := bufio.NewReader(os.Stdin)
	for _, deed := range deeds {
		verb, value, _ := strings.Cut(deed, "=")
		var err error
		switch verb {
		case "say":
			var answer *talk.Words
			if answer, err = client.Say(context.Background(), &talk.Words{Text: value}); err == nil {
				fmt.Printf("said %s\n", answer.Text)
			}
		case "count":
			var counted int
			if counted, err = count(context.Background(), client, number(value)); err == nil {
				fmt.Printf("counted %d\n", counted)
			}
		case "chat":
			err = chat(client, number(value))
		case "streams":
			err = streams(client, number(value))
		case "deadline":
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(number(value))*time.Millisecond)
			_, err = count(ctx, client, withoutEnd)
			cancel()
		case "cancel":
			err = giveUp(client, number(value))
		case "pause":
			stdin.ReadString('\n')
		default:
			return fmt.Errorf("no such deed: %s", deed)
		}
		if failed, is := status.FromError(err); err != nil {
			if !is {
				return fmt.Errorf("%s: %w", deed, err)
			}
			fmt.Println(strings.TrimSpace(fmt.Sprintf("status %d %s", failed.Code(), message(failed))))
		}
	}
	return nil
}

// What the server said. What a library says of its own deadline or cancellation differs from one to the next.
func message(failed *status.Status) string {
	if failed.Code() == codes.DeadlineExceeded || failed.Code() == codes.Canceled {
		return ""
	}
	return failed.Message()
}

// Counts to `to`, without pauses unless it is without end.
func count(ctx context.Context, client talk.TalkClient, to int) (int, error) {
	span := &talk.Span{Count: uint32(to)}
	if to == withoutEnd {
		span.PauseMs = 5
	}
	stream, err := client.Count(ctx, span)
	if err != nil {
		return 0, err
	}
	for counted := 0; ; counted++ {
		next, err := stream.Recv()
		if err == io.EOF {
			return counted, nil
		}
		if err != nil {
			return counted, err
		}
		if next.Number != uint32(counted+1) {
			return counted, fmt.Errorf("%d after %d", next.Number, counted)
		}
	}
}

func chat(client talk.TalkClient, times int) error {
	stream, err := client.Chat(context.Background())
	if err != nil {
		return err
	}
	for i := 0; i < times; i++ {
		text := fmt.Sprintf("word %d", i)
		if err := stream.Send(&talk.Words{Text: text}); err != nil {
			return err
		}
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		if answer.Text != text {
			return fmt.Errorf("%q instead of %q", answer.Text, text)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != io.EOF {
		return fmt.Errorf("no end: %w", err)
	}
	fmt.Printf("chatted %d\n", times)
	return nil
}

func streams(client talk.TalkClient, times int) error {
	failed := make(chan error, times)
	var all sync.WaitGroup
	for i := 0; i < times; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			counted, err := count(context.Background(), client, 100)
			if err == nil && counted != 100 {
				err = fmt.Errorf("%d of 100", counted)
			}
			if err != nil {
				failed <- err
			}
		}()
	}
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		fmt.Printf("streamed %d\n", times)
		return nil
	}
}

func giveUp(client talk.TalkClient, after int) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := client.Count(ctx, &talk.Span{Count: withoutEnd, PauseMs: 5})
	if err != nil {
		return err
	}
	for i := 0; i < after; i++ {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
	cancel()
	for err == nil {
		_, err = stream.Recv()
	}
	return err
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		fmt.Printf("failed %v\n", err)
		os.Exit(2)
	}
	return value
}
