package bench

import "fmt"

// row is a line of the page's table.
type row struct {
	Link, What, Error string
	Latency           *Latency // nil: none
	// The rest is text, empty where there is nothing.
	Packets, Bytes, Missing, Late, Rate string
}

// rows returns the lines of one result.
func (r *Result) rows() []row {
	first := row{Link: r.Link, What: r.Workload, Error: r.Error}
	switch {
	case r.Error != "":
	case r.Bulk != nil:
		first.Rate = number(r.Bulk.RateBPS/1e6) + " Mbit/s"
	case r.Worldload != nil:
		first.What = "worldload, alone"
		first.Latency = &r.Worldload.Alone
		beside := r.Message.row(r.Link, "worldload, beside transfers")
		beside.Rate = fmt.Sprintf("p99 moved by %s ms", number(r.Worldload.MovedMS))
		transfers := row{Link: r.Link, What: "worldload, transfers", Latency: &r.Worldload.Transfers}
		return []row{first, beside, transfers}
	case r.Message != nil:
		return r.messageRows()
	case r.Handshake != nil:
		first.Latency, first.Rate = &r.Handshake.FirstByte, number(r.Handshake.PerSecond)+" a second"
	case r.Request != nil:
		first.Latency, first.Rate = &r.Request.RoundTrip, number(r.Request.PerSecond)+" a second"
	case r.Idle != nil:
		first.Rate = fmt.Sprintf("%s kB, %s ms of CPU a second", number(r.Idle.HeapBytes/1000), number(r.Idle.CPUMS))
	}
	return []row{first}
}

func (r *Result) messageRows() []row {
	m := r.Message
	list := []row{m.row(r.Link, r.Workload)}
	if m.Frames != nil {
		list[0].What += ", messages"
		list = append([]row{{Link: r.Link, What: r.Workload + ", frames", Latency: m.Frames}}, list...)
	}
	if m.Down != nil {
		list[0].What += ", up"
		list = append(list, m.Down.row(r.Link, r.Workload+", down"))
	}
	return list
}

func (m *MessageResult) row(link, what string) row {
	return row{
		Link: link, What: what, Latency: &m.OneWay,
		Packets: number(m.Wire.Packets), Bytes: fmt.Sprintf("%.0f", m.Wire.Bytes), Missing: m.missing(), Late: fmt.Sprint(m.Late),
	}
}

// missing is the part of the messages that never came, as text.
func (m *MessageResult) missing() string {
	if m.Missing == 0 {
		return "0"
	}
	return fmt.Sprintf("%.1e", float64(m.Missing)/float64(max(m.Sent, 1)))
}
