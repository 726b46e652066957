package udp

// run returns how many messages at the front may leave as one buffer: to one peer, from one address, with
// one mark, and of one size, of which the last may be smaller.
func run(msgs []Message) int {
	first := &msgs[0]
	size := len(first.Data)
	if size == 0 {
		return 1
	}
	sum := size
	for n := 1; n < len(msgs) && n < MaxRun; n++ {
		m := &msgs[n]
		sum += len(m.Data)
		if len(m.Data) > size || len(m.Data) == 0 || sum > maxRunBytes || m.ECN != first.ECN ||
			m.Remote != first.Remote || m.Local != first.Local {
			return n
		}
		if len(m.Data) < size {
			return n + 1
		}
	}
	return min(len(msgs), MaxRun)
}
