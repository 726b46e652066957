package protocol

// queue is a first-in first-out ring that is used again, so that it costs no allocation in steady state.
// The zero value is empty. Items have positions, counted from the first one ever pushed.
type queue[T any] struct {
	items      []T // the length is a power of two, or 0
	head, tail uint64
}

// minQueueItems is the smallest ring, keptQueueItems the largest that an empty queue keeps.
const (
	minQueueItems  = 4
	keptQueueItems = 64
)

func (q *queue[T]) len() int { return int(q.tail - q.head) }

// at returns the item at a position from head to tail-1. The pointer is void after the next push.
func (q *queue[T]) at(position uint64) *T { return &q.items[position&uint64(len(q.items)-1)] }

func (q *queue[T]) front() *T { return q.at(q.head) }

func (q *queue[T]) push(item T) {
	if q.len() == len(q.items) {
		q.grow()
	}
	q.tail++
	*q.at(q.tail - 1) = item
}

func (q *queue[T]) grow() {
	items := make([]T, max(minQueueItems, 2*len(q.items)))
	for i := q.head; i < q.tail; i++ {
		items[i&uint64(len(items)-1)] = *q.at(i)
	}
	q.items = items
}

// pop drops the first item.
func (q *queue[T]) pop() {
	var zero T
	*q.front() = zero
	q.head++
	if q.head == q.tail && len(q.items) > keptQueueItems {
		q.items = nil
	}
}
