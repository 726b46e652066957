package udp

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"

	"github.com/godwit-net/godwit/protocol/wire"
)

func short(id [wire.ServerIDLen]byte) []byte {
	b := append([]byte{wire.ShortOctet | 5}, id[:]...)
	return append(b, make([]byte, 40)...)
}

func fin(id []byte) []byte {
	b := append([]byte{wire.FinOctet, 0, 0, 0, 1, byte(len(id))}, id...)
	return append(b, make([]byte, 40)...)
}

func first(last byte) []byte {
	b := append([]byte{wire.FinOctet &^ 3, 0, 0, 0, 1, wire.ServerIDLen}, make([]byte, wire.MinInitSize-6)...)
	b[wire.LongIDLenOffset+wire.ServerIDLen] = last
	return b
}

func TestTheSteeringProgramFollowsTheLastOctetOfTheServersID(t *testing.T) {
	vm, err := bpf.NewVM(steering(3))
	require.NoError(t, err)
	for last := range 256 {
		id := [wire.ServerIDLen]byte{1, 2, 3, 4, 5, 6, 7, byte(last)}
		for _, datagram := range [][]byte{short(id), fin(id[:])} {
			got, err := vm.Run(datagram)
			require.NoError(t, err)
			require.Equal(t, last%3, got)
		}
		got, err := vm.Run(first(byte(last)))
		require.NoError(t, err)
		require.Equal(t, 3+last%3, got, "a door")
	}
	got, err := vm.Run(fin([]byte{1, 2, 3, 4}))
	require.NoError(t, err)
	require.Equal(t, 3, got, "no server's ID is so short")
	for _, datagram := range [][]byte{nil, {0xff, 1}, {wire.ShortOctet}, {wire.FinOctet, 0, 0}, {wire.FinOctet, 0, 0, 0, 1, 8, 1}} {
		got, err := vm.Run(datagram)
		require.NoError(t, err)
		require.Zero(t, got)
	}
}

func TestTheKernelSteersWhateverTheSource(t *testing.T) {
	socks, err := ListenShared(context.Background(), "127.0.0.1:0", 4, AllFeatures)
	require.NoError(t, err)
	defer closeAll(socks)
	require.NotZero(t, socks[3].Info().Features&Steer)
	for i, s := range socks {
		for range 8 { // as many sources: hashing them would go wrong for most
			from := listen(t, "127.0.0.1:0")
			id := [wire.ServerIDLen]byte{7: byte(4*i + i)}
			_, err := from.WriteBatch([]Message{{Data: short(id), Remote: s.AddrPort()}})
			require.NoError(t, err)
			got := readOne(t, &socket{Socket: socks[(4*i+i)%4], in: socks[(4*i+i)%4].NewReadBatch(1)})
			require.Equal(t, from.AddrPort(), got.Remote)
		}
	}
}

func TestSocketsWithoutSteeringStillShare(t *testing.T) {
	socks, err := ListenShared(context.Background(), "127.0.0.1:0", 2, AllFeatures&^Steer)
	require.NoError(t, err)
	defer closeAll(socks)
	require.Zero(t, socks[0].Info().Features&Steer)
	require.Nil(t, socks[0].Door())
}

// spec: SESS-31
func TestFirstPacketsDoNotTakeThePlaceOfSessions(t *testing.T) {
	for n := range 3 {
		socks, err := ListenShared(context.Background(), "127.0.0.1:0", n+1, AllFeatures)
		require.NoError(t, err)
		require.Len(t, socks, n+1)
		door := &socket{Socket: socks[n].Door(), in: socks[n].Door().NewReadBatch(1)}
		from := listen(t, "127.0.0.1:0")
		send := func(data []byte) {
			_, err := from.WriteBatch([]Message{{Data: data, Remote: socks[0].AddrPort()}})
			require.NoError(t, err)
		}
		for range 2*socks[n].Info().ReceiveBuffer/wire.MinInitSize + 1 { // more than fit
			send(first(byte(n)))
		}
		send(short([wire.ServerIDLen]byte{wire.ServerIDLen - 1: byte(n)}))
		require.True(t, wire.IsShort(readOne(t, &socket{Socket: socks[n], in: socks[n].NewReadBatch(1)}).Data[0]))
		require.True(t, wire.IsLong(readOne(t, door).Data[0]))
		closeAll(socks)
		_, err = door.WriteBatch([]Message{{Data: first(0), Remote: from.AddrPort()}})
		require.ErrorIs(t, err, net.ErrClosed, "a door is closed with its socket")
	}
}
