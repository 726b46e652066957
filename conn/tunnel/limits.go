package tunnel

import "time"

// AppProtocol names the tunnel protocol in the handshake, so that a tunnel never talks to a
// program of another kind.
const AppProtocol = "godwit-tunnel/2" // spec: TUN-1

// Limits of the preamble. They bound what a peer can make us hold before anything is proven.
const (
	// maxName is the longest host name: DNS allows 253 characters in its text form.
	maxName = 253
	// maxOptions bounds the option octets of a request. Version 1 defines no option; a kilobyte
	// leaves room for later ones and keeps a request within two packets.
	maxOptions = 1024
	// maxRequest is the longest request: version, network, form, name with its length, port,
	// and options with their length.
	maxRequest = 3 + 1 + maxName + 2 + 2 + maxOptions
	// maxReason is the longest reason of a reply in octets: a line on a terminal.
	maxReason = 200
	// maxReply is the longest reply.
	maxReply = 3 + maxReason
)

// Times. Each is long enough for a bad path and short enough that nothing piles up.
const (
	// requestTimeout is how long a server waits for the whole request of a new stream. The
	// request is the first thing sent, so only an attacker or a dead peer is slower.
	requestTimeout = 10 * time.Second
	// dialTimeout is how long a server tries to reach a target, all its addresses together.
	// Two lost SYN of Linux (1 s, then 2 s) still fit, three times over.
	dialTimeout = 10 * time.Second
	// replyTimeout is how long a client waits for the reply: the server's own waiting and a
	// reserve for repair on a bad path.
	replyTimeout = requestTimeout + dialTimeout + 10*time.Second
	// DefaultWait is how long a connection that arrives without a session waits for one.
	DefaultWait = 10 * time.Second
	// KeepAlive is the longest silence on a tunnel session; IdleTimeout is when the peer is
	// taken for dead. Three keepalives may be lost before a living peer is given up.
	KeepAlive   = 4 * time.Second
	IdleTimeout = 15 * time.Second
	// sessionTimeout bounds one attempt to reach the server, which repeats its first packet
	// several times meanwhile.
	sessionTimeout = 5 * time.Second
)

// Counts.
const (
	// DefaultMaxConnections is how many connections one session carries at once. Each costs two
	// goroutines and up to two copy buffers at each end.
	DefaultMaxConnections = 4096
	// maxAddresses is how many addresses of one name a server tries.
	maxAddresses = 8
	// maxRules and maxForwards bound what a configuration can hold.
	maxRules    = 4096
	maxForwards = 1024
	// maxRange is how many ports a forward may have: each costs a socket. A range is for ports that belong
	// together, such as the four of a camera's picture and sound.
	maxRange = 64
	// maxAuthorized is the number of keys in one authorized file; a file with more is a mistake.
	maxAuthorized = 100_000
)
