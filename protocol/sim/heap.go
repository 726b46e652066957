package sim

// eventHeap is a binary heap: the event with the earliest time, then the lowest order, is at index 0.
type eventHeap []event

func (h eventHeap) less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}

func (h *eventHeap) push(e event) {
	*h = append(*h, e)
	events := *h
	for i := len(events) - 1; i > 0; {
		parent := (i - 1) / 2
		if !events.less(i, parent) {
			return
		}
		events[i], events[parent] = events[parent], events[i]
		i = parent
	}
}

func (h *eventHeap) pop() event {
	events := *h
	first, last := events[0], len(events)-1
	events[0] = events[last]
	events[last] = event{} // let go of what it holds
	events = events[:last]
	*h = events
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(events) {
			return first
		}
		if right := child + 1; right < len(events) && events.less(right, child) {
			child = right
		}
		if !events.less(child, i) {
			return first
		}
		events[i], events[child] = events[child], events[i]
		i = child
	}
}
