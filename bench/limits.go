package bench

import "time"

// AppProtocol names the measurement protocol in the handshake. 2: messages are messages, not pieces of a stream.
const AppProtocol = "godwit-bench/2"

// Limits of what a client can ask a server for, so that one client cannot occupy it for ever.
const (
	// MaxDuration is the longest run.
	MaxDuration = time.Hour
	// maxStreams is the largest number of streams of one bulk run.
	maxStreams = 64
	// MinMessage and MaxMessage bound the size of a message in bytes. A message holds its number and
	// its time.
	MinMessage = 16
	MaxMessage = 64 << 10
	// MaxHz is the highest rate of messages: above it a sleep between two is no sleep any more.
	MaxHz = 1000
	// maxFrame is how many messages go out at once at most.
	maxFrame = 256
	// MaxDeadline is the longest deadline of messages, the longest that there is.
	MaxDeadline = 30 * time.Second
	// maxParallel is how many requests a session has under way at most.
	maxParallel = 256
	// settleTime is how long a receiver waits for what is under way when the sender has ended.
	settleTime = time.Second
	// maxLine bounds a line of the control stream. The longest one is the result of a message run, with
	// one entry for each of the distinct values of a histogram.
	maxLine = 4 << 20
	// maxClients is how many sessions a server serves at once.
	maxClients = 1024
	// maxLatency is the largest latency that is told apart.
	maxLatency = 10 * time.Minute
	// handshakeTimeout is when a client takes the server for absent.
	handshakeTimeout = 5 * time.Second
	// patience is how long one end waits for the other beyond the duration of the run.
	patience = 30 * time.Second
	// seriesStep is the resolution of rates over time.
	seriesStep = 100 * time.Millisecond
	// maxSteps bounds the series: a server drops what comes after the end.
	maxSteps = int(MaxDuration/seriesStep) + 1
	// chunk is how much one call writes or reads in a bulk run.
	chunk = 64 << 10
	// clockRounds is how many times two clocks are compared. The quickest round counts.
	clockRounds = 8
)

// Codes of resets in bulk runs. The application chooses them freely.
const codeDone = 1 // the time is over; what is still on its way does not matter
