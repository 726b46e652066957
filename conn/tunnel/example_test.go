package tunnel_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/godwit-net/godwit/conn/tunnel"
	"github.com/godwit-net/godwit/crypto"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A port here leads to a service that only the server can reach. Both ends hold a pre-shared key.
func Example() {
	service, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		c, err := service.Accept()
		check(err)
		fmt.Fprint(c, "hello from the other side")
		check(c.Close())
	}()

	key := crypto.GeneratePresharedKey()
	rule, err := tunnel.ParseRule("tcp://" + service.Addr().String())
	check(err)
	server, err := tunnel.NewServer(tunnel.ServerConfig{
		Listen: "127.0.0.1:0", PresharedKey: key, Allow: tunnel.Rules{rule},
	})
	check(err)
	forward, err := tunnel.ParseForward("tcp://127.0.0.1:0=tcp://" + service.Addr().String())
	check(err)
	client, err := tunnel.NewClient(tunnel.ClientConfig{
		Server: server.Addr().String(), PresharedKey: key, Forwards: []tunnel.Forward{forward},
	})
	check(err)

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(ctx) }()
	go func() { ended <- client.Run(ctx) }()

	c, err := net.Dial("tcp", client.Addrs()[0].String())
	check(err)
	answer, err := io.ReadAll(c)
	check(err)
	fmt.Println(string(answer))
	check(c.Close())
	stop()
	check(<-ended)
	check(<-ended)
	check(service.Close())
	// Output: hello from the other side
}
