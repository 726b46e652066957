package protocol

// EventKind says what happened. See the constants.
type EventKind uint8

// What a session tells its owner. Stream events are merged while they wait: one event says that
// there is something, however much came.
const (
	// EventEstablished: data may be sent and received. At a client this is the server's authentic
	// answer, one round trip after the start; at a server the session is born established.
	EventEstablished EventKind = 1 + iota
	// EventConfirmed: the peer has proved that it holds all keys of the session.
	EventConfirmed
	// EventStreamOpened: the peer opened Event.Stream.
	EventStreamOpened
	// EventStreamReadable: Event.Stream has data, its end, or a reset to read.
	EventStreamReadable
	// EventStreamWritable: Event.Stream takes data again, or can never take any more.
	EventStreamWritable
	// EventStreamsAvailable: the peer allows more streams.
	EventStreamsAvailable
	// EventMessagesReadable: messages wait to be received.
	EventMessagesReadable
	// EventMessagesWritable: a channel whose queue was full has room.
	EventMessagesWritable
	// EventMessageOutcomes: PollOutcome has something to say.
	EventMessageOutcomes
	// EventClosed: the session has ended, Event.Err says why. What had arrived can still be read.
	EventClosed
	// EventDead: the drain period is over; all state may be freed.
	EventDead
)

var eventNames = [...]string{
	EventEstablished: "established", EventConfirmed: "confirmed", EventStreamOpened: "stream opened",
	EventStreamReadable: "stream readable", EventStreamWritable: "stream writable",
	EventStreamsAvailable: "streams available", EventMessagesReadable: "messages readable",
	EventMessagesWritable: "messages writable", EventMessageOutcomes: "message outcomes", EventClosed: "closed", EventDead: "dead",
}

func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "unknown event"
}

// Event is one thing that happened in a session.
type Event struct {
	Kind   EventKind
	Stream *Stream // for stream events
	Err    error   // for EventClosed
}

// eventQueue is a ring that is reused, so that events cost no allocation in steady state.
// Its length is bounded: stream events are merged per stream, those of messages per session, and all others
// happen a few times.
type eventQueue struct {
	events []Event
	head   int
}

func (q *eventQueue) push(e Event) {
	if q.head == len(q.events) {
		q.events, q.head = q.events[:0], 0
	}
	q.events = append(q.events, e)
}

func (q *eventQueue) poll() (Event, bool) {
	if q.head == len(q.events) {
		return Event{}, false
	}
	e := q.events[q.head]
	q.events[q.head] = Event{}
	q.head++
	if q.head == len(q.events) {
		q.release()
	}
	return e, true
}

// keptEvents is the capacity that an empty queue keeps.
const keptEvents = 16

func (q *eventQueue) release() {
	q.head = 0
	if cap(q.events) > keptEvents {
		q.events = nil
		return
	}
	q.events = q.events[:0]
}

// rest gives the memory of an empty queue back.
func (q *eventQueue) rest() {
	if q.head == len(q.events) {
		q.events, q.head = nil, 0
	}
}
