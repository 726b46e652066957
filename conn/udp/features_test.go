package udp

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

var featureSets = []Features{0, ECN, ECN | Segment, ECN | Coalesce, ECN | Many, Segment | Coalesce, ECN | Segment | Many, Coalesce | Many, AllFeatures}

// eachFeatureSet runs a test with every set of features that sockets may use.
func eachFeatureSet(t *testing.T, test func(*testing.T)) {
	defer func(before Features) { features = before }(features)
	for _, f := range featureSets {
		features = f
		t.Run(f.String(), test)
	}
}

func TestEveryFeatureSetKeepsTheContract(t *testing.T) {
	eachFeatureSet(t, func(t *testing.T) {
		TestDatagramsArriveWithTheirSource(t)
		TestDualStackSocketReportsIPv4AsIPv4(t)
		TestECNBitsArriveAsTheyWereSent(t)
		TestReplyLeavesFromTheAddressThatWasAsked(t)
		TestAddressThatLeftThisMachineIsReplacedByTheSystemsChoice(t)
		TestOneRefusedDatagramDoesNotStopTheBatch(t)
		TestClosedSocketSaysSo(t)
		TestAnyPacketConnWorks(t)
	})
}

func TestInfoSaysWhichFeaturesAreInUse(t *testing.T) {
	eachFeatureSet(t, func(t *testing.T) {
		have := listen(t, "127.0.0.1:0").Info().Features
		switch runtime.GOOS {
		case "linux":
			require.Equal(t, features&^Steer, have, "a port of its own needs no steering")
		case "windows":
			require.Equal(t, features&(Segment|ECN), have)
		default:
			require.Equal(t, features&ECN, have)
		}
	})
}

// A batch of datagrams of all sizes, to two peers, with several marks: every one arrives whole, with its mark,
// in the order in which its peer was sent them.
func TestRunsArriveAsTheDatagramsThatTheyWere(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		eachFeatureSet(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			address := net.JoinHostPort(host, "0")
			a, peers := listen(t, address), []*socket{listen(t, address), listen(t, address)}
			for range 20 {
				msgs := randomBatch(rng, peers)
				n, err := a.WriteBatch(msgs)
				require.NoError(t, err)
				require.Equal(t, len(msgs), n)
				for _, want := range msgs {
					for _, p := range peers {
						if p.AddrPort() == want.Remote {
							got := readOne(t, p)
							require.True(t, bytes.Equal(want.Data, got.Data), "%d bytes, sent %d", len(got.Data), len(want.Data))
							require.Equal(t, a.AddrPort(), got.Remote)
							if p.Info().ECN {
								require.Equal(t, want.ECN, got.ECN)
							}
						}
					}
				}
			}
		})
	}
}

// randomBatch returns runs of datagrams of one size that end with a smaller one, and others among them.
func randomBatch(rng *rand.Rand, peers []*socket) (msgs []Message) {
	for len(msgs) < 150 {
		m := Message{Remote: peers[rng.IntN(2)].AddrPort(), ECN: uint8(rng.IntN(4))}
		size := []int{0, 1, 40, 1200, 1452, 9000}[rng.IntN(6)]
		for range 1 + rng.IntN(100) {
			m.Data = bytes.Repeat([]byte{byte(rng.Uint32())}, size)
			msgs = append(msgs, m)
			if len(msgs)%7 == 0 {
				size = size * 9 / 10
			}
		}
	}
	if rng.IntN(2) == 0 {
		layBackToBack(msgs[:150])
	}
	return msgs[:150]
}

// layBackToBack moves the data of messages into one buffer, as sessions build them.
func layBackToBack(msgs []Message) {
	size := 0
	for _, m := range msgs {
		size += len(m.Data)
	}
	buf := make([]byte, 0, size)
	for i := range msgs {
		start := len(buf)
		buf = append(buf, msgs[i].Data...)
		msgs[i].Data = buf[start:len(buf):len(buf)]
	}
}

func TestReadsOfManyPeersCarryTheirSources(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	from := map[netip.AddrPort]int{}
	for range 40 {
		a := listen(t, "127.0.0.1:0")
		_, err := a.WriteBatch([]Message{{Data: []byte("x"), Remote: b.AddrPort()}, {Data: []byte("y"), Remote: b.AddrPort()}})
		require.NoError(t, err)
		from[a.AddrPort()] = 2
	}
	for range 80 {
		from[readOne(t, b).Remote]--
	}
	for a, missing := range from {
		require.Zero(t, missing, "%v", a)
	}
}

func TestAWrapperKeepsItsOwnMethods(t *testing.T) {
	raw, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	s, err := New(wrapped{raw}, AllFeatures)
	require.NoError(t, err)
	defer s.Close()
	require.Zero(t, s.Info().Features&^ECN, "what it does in them must not be passed by")
}

func TestListenersTakeTheFeaturesThatTheyAreGiven(t *testing.T) {
	socks, err := ListenShared(context.Background(), "127.0.0.1:0", 2, 0)
	require.NoError(t, err)
	defer closeAll(socks)
	for _, s := range socks {
		require.Zero(t, s.Info().Features)
	}
}

// BenchmarkBatch sends and receives batches of 1452 bytes with every set of features.
func BenchmarkBatch(b *testing.B) {
	defer func(before Features) { features = before }(features)
	for _, f := range featureSets {
		features = f
		b.Run(f.String(), func(b *testing.B) {
			s, r := listen(b, "127.0.0.1:0"), listen(b, "127.0.0.1:0")
			msgs := make([]Message, 40)
			for i := range msgs {
				msgs[i] = Message{Data: make([]byte, 1452), Remote: r.AddrPort(), ECN: ECT0}
			}
			b.SetBytes(int64(len(msgs)) * 1452)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = s.WriteBatch(msgs)
				for n := 0; n < len(msgs); {
					got, err := r.ReadBatch(r.in)
					require.NoError(b, err)
					n += len(got)
				}
			}
		})
	}
}
