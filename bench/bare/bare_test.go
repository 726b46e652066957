package bare

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLoopCarriesWhatIsWritten(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		for _, size := range []int{64, 1452, 65487} {
			l, err := New(size, encrypted)
			require.NoError(t, err)
			data := make([]byte, 3_000_000)
			_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
			wrote := make(chan error, 1)
			go func() {
				_, err := l.Write(data)
				wrote <- err
			}()
			got := make([]byte, len(data))
			_, err = io.ReadFull(l, got)
			require.NoError(t, err)
			require.NoError(t, <-wrote)
			require.True(t, bytes.Equal(data, got))
			require.NoError(t, l.Close())
			_, err = l.Read(got)
			require.Error(t, err)
		}
	}
}

func TestTheLoopTakesNoForgedDatagram(t *testing.T) {
	l, err := New(1452, true)
	require.NoError(t, err)
	defer l.Close()
	l.build([]byte("hello"))
	l.msgs[0].Data[headerSize] ^= 1
	_, err = l.from.WriteBatch(l.msgs)
	require.NoError(t, err)
	_, err = l.Read(make([]byte, 100))
	require.Error(t, err)
}

func TestTheLoopRefusesSizesThatNoDatagramHas(t *testing.T) {
	for _, size := range []int{0, 63, 65528} {
		_, err := New(size, true)
		require.Error(t, err)
	}
}
