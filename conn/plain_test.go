package conn

import (
	"flag"
	"os"
	"testing"

	"github.com/godwit-net/godwit/conn/udp"
)

var plain = flag.Bool("plain", false, "run the tests with sockets that move one datagram with each system call")

func TestMain(m *testing.M) {
	flag.Parse()
	if *plain {
		disabledFeatures = udp.AllFeatures
	}
	os.Exit(m.Run())
}
