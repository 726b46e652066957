package congestion

// Marking says how a controller wants packets marked (ECN), which follows from how it answers when
// the network turns the mark into CE.
type Marking uint8

const (
	// MarkClassic is ECT(0): the controller answers CE as it answers loss, once an episode
	// (RFC 3168, RFC 8511). This holds for every controller that is no Marker.
	MarkClassic Marking = iota
	// MarkL4S is ECT(1): the controller counts CE marks and reduces by their part, and keeps all other
	// rules of RFC 9331, section 4.3. A controller that does not must never ask for it: the network
	// puts ECT(1) into the same short queue with everybody who does.
	MarkL4S
	// MarkNone is for a controller that does not answer CE: its packets must not claim that it does.
	MarkNone
)

// Marker is a Controller that wants packets marked in another way than MarkClassic.
type Marker interface {
	// Marking is asked for every packet that leaves and for every report of CE marks; the answer may
	// change. Whether the path carries marks is not the controller's affair: the transport validates
	// them, and leaves them out where they do not work.
	//
	// While it is MarkL4S, CE marks begin no episode: LossSample.ECN and AckSample.ECT count them.
	Marking() Marking
}
