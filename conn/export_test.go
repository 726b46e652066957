package conn

import "github.com/godwit-net/godwit/protocol"

// AddStats adds the counters of one shard n times.
func AddStats(one protocol.EndpointStats, n int) protocol.EndpointStats {
	var st EndpointStats
	for range n {
		st.add(one)
	}
	return st.EndpointStats
}
