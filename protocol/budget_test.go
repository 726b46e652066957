package protocol

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBudgetsAreFullWhenTheClockStarts(t *testing.T) {
	var b budget
	start := Time(1)
	addr := netip.MustParseAddr("192.0.2.1")
	random := func() uint64 { return 77 }
	for i := range unprovedBurst {
		require.True(t, b.unproved.take(start, random, addr, unprovedRate, unprovedBurst), "%d", i)
	}
	require.False(t, b.unproved.take(start, random, addr, unprovedRate, unprovedBurst))
	require.True(t, b.unproved.take(start.Add(time.Second/unprovedRate), random, addr, unprovedRate, unprovedBurst))

	for spent := 0; !b.overworked(start); spent++ {
		require.Less(t, spent, 100)
		b.spend(start)
	}
	require.False(t, b.overworked(start.Add(workBurst)))
}

func TestPrefixesHaveBudgetsOfTheirOwn(t *testing.T) {
	var b buckets
	random := func() uint64 { return 0x123456789abcdef }
	now, refused := Time(time.Hour), 0
	for i := range 200 {
		for range 5 {
			if !b.take(now, random, netip.AddrFrom4([4]byte{10, 0, byte(i), 1}), 20, 5) {
				refused++
			}
		}
	}
	require.Less(t, refused, 200*5/4, "few prefixes share a bucket")
	one, other := netip.MustParseAddr("2001:db8:1:100::1"), netip.MustParseAddr("2001:db8:1:1ff:ffff::2")
	require.Equal(t, b.index(one), b.index(other), "56 bits of an IPv6 address are one customer")
	require.Equal(t, b.index(netip.MustParseAddr("::ffff:1.2.3.4")), b.index(netip.MustParseAddr("1.2.3.4")))
}
