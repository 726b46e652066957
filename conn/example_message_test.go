package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/godwit-net/godwit/conn"
)

// link returns both ends of a session over loopback, and the listener.
func link(ctx context.Context) (client, server *conn.Session, l *conn.Listener) {
	l, err := conn.Listen("127.0.0.1:0", nil)
	check(err)
	client, err = conn.Dial(ctx, l.Addr().String(), &conn.Config{PeerKey: l.PublicKey()})
	check(err)
	server, err = l.AcceptSession(ctx)
	check(err)
	return client, server, l
}

// Three kinds of messages: inputs must all arrive in order, of positions only the newest counts, and a picture
// that has not arrived ten seconds after it could have is not worth a repair any more. For live media that is a
// fraction of a second.
func ExampleSession_SendMessage() {
	ctx := context.Background()
	client, server, l := link(ctx)
	inputs := conn.MessageOptions{Channel: 0, Mode: conn.ReliableOrdered}
	positions := conn.MessageOptions{Channel: 1, Mode: conn.Sequenced}
	pictures := conn.MessageOptions{Channel: 2, Mode: conn.ReliableOrdered, Deadline: 10 * time.Second}

	check(client.SendMessage([]byte("jump"), inputs))
	check(client.SendMessage([]byte("3 east, 4 south"), positions))
	check(client.SendMessage(make([]byte, 100_000), pictures)) // many packets, each of them repaired

	sizes := make(map[uint16]int)
	for range 3 {
		m, err := server.ReceiveMessage(ctx)
		check(err)
		sizes[m.Channel] = len(m.Data)
	}
	fmt.Println(sizes)
	check(client.Close())
	check(l.Close())
	// Output: map[0:4 1:15 2:100000]
}

// A message can say what became of it.
func ExampleSession_SendMessage_outcome() {
	ctx := context.Background()
	client, _, l := link(ctx)
	told := make(chan conn.Outcome, 1) // with room: whoever calls Outcome must not wait
	check(client.SendMessage([]byte("did you get this?"), conn.MessageOptions{
		Mode:    conn.ReliableUnordered,
		Outcome: func(o conn.Outcome) { told <- o },
	}))
	fmt.Println(<-told)
	check(client.Close())
	check(l.Close())
	// Output: acknowledged
}

// Receiving into one buffer costs no allocation. After the peer's Close comes what had arrived, then io.EOF.
func ExampleSession_ReceiveMessageInto() {
	ctx := context.Background()
	client, server, l := link(ctx)
	for _, text := range []string{"one", "two", "three"} {
		check(client.SendMessage([]byte(text), conn.MessageOptions{Mode: conn.ReliableOrdered}))
	}
	check(client.Close()) // delivers what was sent before

	buf := make([]byte, 1500)
	for {
		m, err := server.ReceiveMessageInto(ctx, buf)
		if errors.Is(err, io.EOF) {
			break
		}
		check(err)
		fmt.Println(string(m.Data))
	}
	check(server.Close())
	check(l.Close())
	// Output:
	// one
	// two
	// three
}

// The tick loop of a server: take what came from all players, without waiting; think; tell each what happened, in
// one packet if it fits. cmd/examples/game is a whole game.
func ExampleListener_ReceiveBatch() {
	ctx := context.Background()
	player, _, l := link(ctx)
	input := conn.MessageOptions{Channel: 0, Mode: conn.ReliableOrdered}
	check(player.SendMessage([]byte("3 coins"), input))

	snapshot := conn.MessageOptions{Channel: 0, Mode: conn.Sequenced, More: true}
	event := conn.MessageOptions{Channel: 1, Mode: conn.ReliableOrdered, More: true}
	batch := make([]conn.Received, 64) // used again in each tick
	tick := func() (inputs int) {
		for n := len(batch); n == len(batch); {
			n = l.ReceiveBatch(batch)
			for _, m := range batch[:n] {
				inputs++
				_ = m.Session.SendMessage([]byte("here is everybody"), snapshot)
				_ = m.Session.SendMessage(append([]byte("you found "), m.Data...), event)
				_ = m.Session.Flush() // or the session's error: the player has left
			}
		}
		return inputs
	}
	for ticker := time.NewTicker(time.Second / 60); tick() == 0; {
		<-ticker.C
	}

	for range 2 {
		m, err := player.ReceiveMessage(ctx)
		check(err)
		fmt.Println(string(m.Data))
	}
	check(player.Close())
	check(l.Close())
	// Output:
	// here is everybody
	// you found 3 coins
}
