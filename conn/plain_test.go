package conn

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/godwit-net/godwit/conn/udp"
)

var without = flag.String("without", "", "run the tests with sockets that do not use these features, as segment,many; all: one system call for each datagram")

func TestMain(m *testing.M) {
	flag.Parse()
	off, err := featuresOf(*without)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	disabledFeatures = off
	os.Exit(m.Run())
}

// featuresOf reads the names of features.
func featuresOf(names string) (all udp.Features, err error) {
	switch names {
	case "":
		return 0, nil
	case "all":
		return udp.AllFeatures, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		found := udp.Features(0)
		for f := udp.Features(1); f != 0; f <<= 1 {
			if udp.AllFeatures&f != 0 && f.String() == name {
				found = f
			}
		}
		if found == 0 {
			return 0, fmt.Errorf("no feature is called %q; there are %v", name, udp.AllFeatures)
		}
		all |= found
	}
	return all, nil
}
