package protocol

import (
	"slices"

	"github.com/godwit-net/godwit/protocol/wire"
)

// rangeset is a set of numbers as ranges: ascending, disjoint, not adjacent, none empty. The zero
// value is the empty set. Changes at either end are cheap; a change in the middle moves what is
// behind it. Once the slice has grown, nothing allocates.
type rangeset []wire.Range

// add puts the numbers start to end-1 into the set.
func (s *rangeset) add(start, end uint64) {
	if start >= end {
		return
	}
	r := *s
	if n := len(r); n > 0 && start >= r[n-1].Start && start <= r[n-1].End {
		r[n-1].End = max(r[n-1].End, end) // the usual case: the newest range grows
		return
	}
	i := r.search(start)
	if i > 0 && r[i-1].End == start {
		i-- // adjacent to the range before
	}
	j := i
	for j < len(r) && r[j].Start <= end {
		j++
	}
	if i == j {
		*s = slices.Insert(r, i, wire.Range{Start: start, End: end})
		return
	}
	r[i] = wire.Range{Start: min(start, r[i].Start), End: max(end, r[j-1].End)}
	*s = slices.Delete(r, i+1, j)
}

// sub takes the numbers start to end-1 out of the set.
func (s *rangeset) sub(start, end uint64) {
	if start >= end {
		return
	}
	r := *s
	i := r.search(start)
	if i == len(r) || r[i].Start >= end {
		return
	}
	if first := r[i]; first.Start < start {
		if first.End > end { // out of the middle of one range
			r[i].End = start
			*s = slices.Insert(r, i+1, wire.Range{Start: end, End: first.End})
			return
		}
		r[i].End = start
		i++
	}
	j := i
	for j < len(r) && r[j].End <= end {
		j++
	}
	if j < len(r) && r[j].Start < end {
		r[j].Start = end
	}
	*s = slices.Delete(r, i, j)
}

// search returns the index of the first range that ends after v.
func (s rangeset) search(v uint64) int {
	lo, hi := 0, len(s)
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); s[mid].End <= v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// contains reports whether v is in the set.
func (s rangeset) contains(v uint64) bool {
	i := s.search(v)
	return i < len(s) && s[i].Start <= v
}

// rangeContaining returns the range that v is in, or the empty range.
func (s rangeset) rangeContaining(v uint64) wire.Range {
	if i := s.search(v); i < len(s) && s[i].Start <= v {
		return s[i]
	}
	return wire.Range{}
}

// min returns the smallest number of the set, 0 if it is empty.
func (s rangeset) min() uint64 {
	if len(s) == 0 {
		return 0
	}
	return s[0].Start
}

// max returns the largest number of the set, 0 if it is empty.
func (s rangeset) max() uint64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].End - 1
}

// end returns the number after the largest of the set, 0 if it is empty.
func (s rangeset) end() uint64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].End
}

// size returns how many numbers are in the set.
func (s rangeset) size() uint64 {
	var n uint64
	for _, r := range s {
		n += r.Size()
	}
	return n
}

// overlap returns how many of the numbers start to end-1 are in the set.
func (s rangeset) overlap(start, end uint64) uint64 {
	var n uint64
	for i := s.search(start); i < len(s) && s[i].Start < end; i++ {
		n += min(end, s[i].End) - max(start, s[i].Start)
	}
	return n
}

func (s rangeset) numRanges() int { return len(s) }
func (s rangeset) isEmpty() bool  { return len(s) == 0 }

// dropOldest removes the smallest ranges until at most keep are left.
func (s *rangeset) dropOldest(keep int) {
	if n := len(*s) - keep; n > 0 {
		*s = slices.Delete(*s, 0, n)
	}
}

// release gives back spare capacity beyond keep ranges.
func (s *rangeset) release(keep int) {
	if cap(*s) <= max(keep, len(*s)) {
		return
	}
	if len(*s) == 0 {
		*s = nil
		return
	}
	*s = slices.Clone(*s)
}
