package crypto

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// spec: PROT-17
func TestAttack06ReplayWindowTable(t *testing.T) {
	const size = MinReplayBits
	for _, c := range []struct {
		name  string
		set   []uint64
		pn    uint64
		fresh bool
	}{
		{"nothing received", nil, 0, true},
		{"the first again", []uint64{0}, 0, false},
		{"the next", []uint64{0}, 1, true},
		{"a gap", []uint64{0, 5}, 3, true},
		{"both ends of a gap", []uint64{0, 5}, 5, false},
		{"before the first received", []uint64{70}, 69, true},
		{"lowest of the window", []uint64{0, size}, 1, true},
		{"just below the window, received", []uint64{0, size}, 0, false},
		{"lowest of the largest window", []uint64{DefaultReplayBits}, 1, true},
		{"just below the largest window", []uint64{DefaultReplayBits}, 0, false},
		{"far below", []uint64{1 << 40}, 1, false},
		{"word boundary below", []uint64{63, 65}, 64, true},
		{"word boundary set", []uint64{63, 64, 65}, 64, false},
		{"highest number", []uint64{MaxPacketNumber - 1}, MaxPacketNumber, true},
		{"highest number again", []uint64{MaxPacketNumber}, MaxPacketNumber, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w ReplayWindow
			for _, pn := range c.set {
				w.Set(pn)
			}
			require.Equal(t, c.fresh, w.Check(c.pn))
		})
	}
}

// spec: PROT-17 PROT-18
func TestAttack06ReplayRingWrap(t *testing.T) {
	for _, limit := range []int{MinReplayBits, DefaultReplayBits, MaxReplayBits} {
		w := NewReplayWindow(limit)
		for pn := uint64(0); pn < uint64(3*limit); pn += 2 {
			require.True(t, w.Check(pn))
			w.Set(pn)
			require.False(t, w.Check(pn))
			if pn >= 3 {
				require.True(t, w.Check(pn-1), "odd numbers never came")
				require.Equal(t, pn <= uint64(limit), w.Check(1), "limit %d, %d", limit, pn)
			}
		}
		require.Equal(t, limit, w.Size())
	}
}

// spec: PROT-18
func TestAWindowWithoutLossStaysSmall(t *testing.T) {
	var w ReplayWindow
	require.Zero(t, w.Size(), "nothing received, nothing held")
	for pn := range uint64(100_000) {
		w.Set(pn)
	}
	require.Equal(t, MinReplayBits, w.Size())
	require.False(t, w.Check(0))
	require.False(t, w.Check(100_000-MinReplayBits))
	require.False(t, w.Check(100_000-MinReplayBits-1), "forgotten numbers were all received")
}

// spec: PROT-18
func TestAWindowGrowsForWhatMayStillCome(t *testing.T) {
	var w ReplayWindow
	w.Set(0)
	for pn := uint64(2); pn < DefaultReplayBits+2; pn++ { // 1 is missing
		require.True(t, w.Check(1), "after %d", pn)
		w.Set(pn)
	}
	require.Equal(t, DefaultReplayBits, w.Size())
	require.False(t, w.Check(1), "given up: nobody knows any more")
	require.False(t, w.Check(0))
}

// spec: PROT-18
func TestTheSizeOfAWindowIsBounded(t *testing.T) {
	for asked, want := range map[int]int{
		0: DefaultReplayBits, 1: MinReplayBits, -1: MinReplayBits, 129: 256, 8192: 8192, 8193: 16384, MaxReplayBits: MaxReplayBits, 1 << 30: MaxReplayBits,
	} {
		w := NewReplayWindow(asked)
		w.Set(MaxPacketNumber)
		require.Equal(t, want, w.Size(), "asked for %d", asked)
		require.True(t, w.Check(MaxPacketNumber-uint64(want)+1))
		require.False(t, w.Check(MaxPacketNumber-uint64(want)))
	}
}

func TestSettingWhatIsNotFreshChangesNothing(t *testing.T) {
	var w ReplayWindow
	w.Set(1 << 20)
	before := append([]uint64(nil), w.words...)
	w.Set(5)
	w.Set(1 << 20)
	require.Equal(t, before, w.words)
}

func TestReplayWindowAllocatesOnlyToGrow(t *testing.T) {
	w := NewReplayWindow(0)
	pn := uint64(1 << 30)
	w.Set(pn)
	w.Set(pn + 3)
	require.Zero(t, testing.AllocsPerRun(10_000, func() {
		pn += 3
		_ = w.Check(pn)
		w.Set(pn)
	}))
}

// The window against a set that forgets nothing: a number is taken at most once, and every number
// that is within reach and has not come is taken.
//
// spec: PROT-17 PROT-18
func TestAttack06ReplayWindowAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{128, 256, 1024}).Draw(t, "limit")
		w := NewReplayWindow(limit)
		received := make(map[uint64]bool)
		highest := rapid.SampledFrom([]uint64{0, 60, 1000, 1 << 40}).Draw(t, "start")
		started := false
		for i := range rapid.IntRange(1, 400).Draw(t, "packets") {
			step := rapid.SampledFrom([]int{1, 1, 1, 2, 63, 64, 65, 127, 128, 129, 255, 1023, 1024, 1025, 5000, -1, -2, -64, -127, -128, -129, -500, -1023, -1024}).Draw(t, fmt.Sprint("step", i))
			pn := uint64(max(int64(highest)+int64(step), 0))
			fresh := w.Check(pn)
			if received[pn] && fresh {
				t.Fatalf("%d was taken twice", pn)
			}
			inReach := !started || pn > highest || highest-pn < uint64(limit)
			if !received[pn] && inReach && !fresh {
				t.Fatalf("%d (highest %d) was refused", pn, highest)
			}
			if !inReach && fresh {
				t.Fatalf("%d (highest %d) is out of reach and was taken", pn, highest)
			}
			if fresh {
				w.Set(pn)
				received[pn] = true
				if !started {
					highest = pn
				}
				highest, started = max(highest, pn), true
			}
		}
	})
}

// Every packet of a sealed conversation is replayed at random times: each is delivered once.
//
// spec: PROT-17 PROT-19
func TestAttack06ReplayOfEveryPacketDeliversItOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 6))
	p := newPair(t, ChaCha20Poly1305)
	var window ReplayWindow
	var captured [][]byte
	var numbers []uint64
	delivered := make(map[uint64]int)
	receive := func(i int) {
		pn := numbers[i]
		if !window.Check(pn) {
			return
		}
		if _, _, err := p.open(captured[i], 0, pn); err == nil {
			window.Set(pn)
			delivered[pn]++
		}
	}
	for pn := range uint64(3000) {
		if pn == 1000 || pn == 2000 {
			p.send.Update()
		}
		captured, numbers = append(captured, p.seal(0, pn, "once")), append(numbers, pn)
		if random.IntN(20) != 0 {
			receive(len(captured) - 1)
		}
		for range 3 {
			receive(random.IntN(len(captured)))
		}
	}
	for pn := range uint64(3000) {
		require.LessOrEqual(t, delivered[pn], 1, pn)
	}
	require.Greater(t, len(delivered), 2500)
}

// A forger sees to it that forged packets come first: the real ones must still be fresh.
//
// spec: PROT-19
func TestAttack06OnlyAuthenticPacketsEnterTheWindow(t *testing.T) {
	p := newPair(t, AES256GCM)
	var window ReplayWindow
	for pn := range uint64(100) {
		packet := p.seal(0, pn, "real")
		forged := append([]byte(nil), packet...)
		forged[len(forged)-1] ^= 1
		for _, b := range [][]byte{forged, packet} {
			if !window.Check(pn) {
				t.Fatal("a forged packet closed the door to the real one")
			}
			if _, _, err := p.open(b, 0, pn); err == nil {
				window.Set(pn)
			}
		}
		require.False(t, window.Check(pn))
	}
}
