package conn_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/conn"
	"github.com/godwit-net/godwit/protocol"
)

func TestSessionHasNoGoroutineOfItsOwn(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		client := w.client()
		before := runtime.NumGoroutine()
		const sessions = 100
		for i := range sessions {
			c, err := client.Dial(t.Context(), serverAddr.String(), w.clientConfig())
			require.NoError(t, err)
			s, err := w.listener.AcceptSession(t.Context())
			require.NoError(t, err)
			write(t, c, fmt.Sprint(i))
			wantRead(t, s, fmt.Sprint(i))
		}
		require.LessOrEqual(t, runtime.NumGoroutine(), before+2)
		st := w.listener.Stats()
		require.Equal(t, uint64(sessions), st.Accepted)
		require.Zero(t, st.Unmatched+st.Malformed+st.Forged+st.ReadErrors+st.SendErrors)
		time.Sleep(2 * time.Minute)
		require.Zero(t, w.listener.Stats().Sessions, "all have timed out and are forgotten")
	})
}

// spec: SESS-31
func TestOnlySessionsThatAreNoNewOnesAreInUse(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		c, s := w.pair()
		write(t, c, "young")
		wantRead(t, s, "young")
		require.False(t, conn.InUse(w.listener))
		time.Sleep(time.Second)
		require.False(t, conn.InUse(w.listener), "it is silent")
		write(t, c, "old")
		wantRead(t, s, "old")
		require.True(t, conn.InUse(w.listener))
		time.Sleep(time.Second)
		require.False(t, conn.InUse(w.listener), "it was")
	})
}

func TestFirstPacketsBeforeListenAreIgnoredAndCounted(t *testing.T) {
	inBubble(t, quick, nil, func(t *testing.T, w *world) {
		quiet := w.endpoint(netip.MustParseAddrPort("10.0.0.3:1"), nil)
		_, err := w.client().Dial(t.Context(), quiet.Addr().String(), w.clientConfig())
		require.ErrorIs(t, err, conn.ErrNoAnswer)
		require.Positive(t, quiet.Stats().NotListening)
	})
}

// A counter that the core gains must be added up here too.
func TestEndpointStatsAddUpEveryCounter(t *testing.T) {
	one := reflect.New(reflect.TypeFor[protocol.EndpointStats]()).Elem()
	for i := range one.NumField() {
		if f := one.Field(i); f.CanUint() {
			f.SetUint(1)
		} else {
			f.SetInt(1)
		}
	}
	sum := reflect.ValueOf(conn.AddStats(one.Interface().(protocol.EndpointStats), 2))
	for i := range sum.NumField() {
		require.EqualValues(t, 2, sum.Field(i).Interface(), sum.Type().Field(i).Name)
	}
}
