package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godwit-net/godwit/protocol/wire"
)

// TestNumbersAreRestoredOrRefused has packets arrive in any order, as late as the network likes, with new
// numbers and repeated ones in them: whatever a sender may send is read as what it meant, or not at all.
//
// spec: MSG-6 MSG-7
func TestNumbersAreRestoredOrRefused(t *testing.T) {
	type sent struct {
		place  packetPlace
		number uint64
		wide   bool
	}
	refused, narrow := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var n numbers
		var known, next, pn uint64
		var flying []sent
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "send") || len(flying) == 0 {
				burst := rapid.SampledFrom([]int{1, 1, 2, 20, 100, 5000}).Draw(t, "burst")
				for range burst {
					pn++
					number := next
					if next > 0 && rapid.IntRange(0, 3).Draw(t, "again") == 0 && burst < 100 {
						number = next - 1 - min(next-1, rapid.Uint64Range(0, 200).Draw(t, "back"))
					}
					if number == next {
						next++
					}
					if wide, ok := numberWidth(number, known, next); ok {
						flying = append(flying, sent{packetPlace{pn: pn}, number, wide})
					}
				}
				continue
			}
			i := len(flying) - 1
			if rapid.Bool().Draw(t, "late") {
				i = rapid.IntRange(0, i).Draw(t, "which")
			}
			f := flying[i]
			flying = append(flying[:i], flying[i+1:]...)
			got, ok := n.restore(&wire.Message{Wide: f.wide, Number: truncated(f.number, f.wide)}, f.place)
			if !f.wide {
				narrow++
			}
			if !ok {
				refused++
				continue
			}
			require.Equal(t, f.number, got, "expected %d, sent in packet %d", n.expected, f.place.pn)
			n.seen(got+1, f.place)
			if rapid.Bool().Draw(t, "acked") {
				known = max(known, got+1)
			}
		}
	})
	require.Positive(t, refused)
	require.Positive(t, narrow)
}

// truncated is a number as it travels.
func truncated(number uint64, wide bool) uint16 {
	if wide {
		return uint16(number)
	}
	return uint16(uint8(number))
}
