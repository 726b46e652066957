package congestion

import (
	"fmt"
	"strings"
	"time"
)

// Durations of the scenarios of the grid, in virtual time.
const (
	aloneDuration = 12 * time.Second
	aloneWarmup   = 2 * time.Second
	// Two flows that answer loss need several of their sawteeth until they share.
	rivalDuration = 60 * time.Second
	rivalWarmup   = 20 * time.Second
	rivalLater    = 5 * time.Second // from the start of the first flow to that of the second
	selfDuration  = 30 * time.Second
	selfWarmup    = 12 * time.Second
	selfLater     = time.Second
	// changeShift spreads changes over a cycle of a controller.
	changeShift = 500 * time.Millisecond
	// plainSeeds are enough where nothing is asked for, and where a run takes a minute.
	plainSeeds = 20
	// sweepSeeds are those of the sweep over paths, whose rows are many, and fastSeeds those of its fast
	// links, where a run is costly and hardly depends on the seed.
	sweepSeeds, fastSeeds = 5, 3
)

// dslRate is the rate of the link named dsl, which most scenarios use.
const dslRate = 50_000_000

// groups are the parts of the grid, with what they ask.
var groups = []struct {
	name, about string
	make        func(controller string) []Scenario
}{
	{"Random loss", "One flow alone on 50 Mbit/s and 40 ms. Who takes every loss for congestion stands still.", alone},
	{"Against CUBIC", "One flow and one CUBIC flow. The share is that of the controller; half is fair.", rivals},
	{"Among its kind", "Several flows of one controller, a second between their starts.", itself},
	{"Round trips", "Two flows of one controller with round trips of two lengths. The share is that of the shorter one.", roundTrips},
	{"Hard links", "Policers, reordering, bursts of loss, outages, and links without a steady rate.", hardships},
	{"Marks", "Queues that mark CE (ECN) at 5 ms, and ECT(1) at 1 ms where the name says l4s, and paths that damage the marks.", marks},
	{"Changes", "A link that is worse for a while. Back: goodput, in parts of the capacity, in the second that begins 20 round trips after the end. First: time from the end to the first byte.", changes},
	{"Transfers", "Ten million bytes on one stream, with the handshake and the start.", transfers},
	{"Game beside bulk", "64 bytes, 60 times a second, on a stream of the latency class. Blocked: the longest wait for window or pacer.", games},
	{"Media", "6 Mbit/s in 60 frames a second on an ordinary stream: time from the write of a frame until all of it is read.", medias},
	{"Paths of all kinds", "One flow: rate by round trip by buffer by loss.", sweep},
}

// Grid returns the scenarios that a controller is judged by.
func Grid(controller string) []Scenario {
	var grid []Scenario
	for _, g := range groups {
		for _, s := range g.make(controller) {
			s.Group = g.name
			if strings.HasPrefix(controller, fixedPrefix) {
				s.Targets = nil // they are for what finds its own rate
			}
			if s.Seeds == 0 && (len(s.Targets) == 0 || s.Duration >= rivalDuration) {
				s.Seeds = plainSeeds
			}
			grid = append(grid, s)
		}
	}
	return grid
}

// single is one flow of bulk on a link.
func single(controller, name, link string, targets ...Target) Scenario {
	return Scenario{
		Name: name, Link: link, Flows: []Flow{{Controller: controller}},
		Duration: aloneDuration, Warmup: aloneWarmup, Targets: targets,
	}
}

// fullRate is the goodput in Mbit/s to ask of a flow alone on dsl, at a loss.
func fullRate(loss float64) float64 {
	part := 0.95 // for a loss of up to 1 %
	switch {
	case loss > 0.05:
		part = 0.85
	case loss > 0.01:
		part = 0.90
	}
	return part * (1 - loss) * Capacity(dslRate) / 1e6
}

// aloneQueue is the queue in ms that a flow alone may build.
const aloneQueue = 15

var losses = []struct {
	text string
	part float64
}{{"0%", 0}, {"0.1%", 0.001}, {"1%", 0.01}, {"5%", 0.05}, {"10%", 0.1}}

// alone is one flow with buffers of several sizes and loss at random, on one stream and on eight.
func alone(controller string) []Scenario {
	var grid []Scenario
	add := func(name, queue string, streams int, judged bool) {
		for _, loss := range losses {
			s := single(controller, name+" loss="+loss.text, "dsl,queue="+queue+",loss="+loss.text)
			s.Flows[0].Streams = streams
			if judged {
				s.Targets = []Target{atLeast(Goodput, fullRate(loss.part)), atMost(Queue, aloneQueue)}
			}
			grid = append(grid, s)
		}
	}
	for _, queue := range []string{"0.25bdp", "1bdp", "4bdp"} {
		add("alone queue="+queue, queue, 1, queue == "1bdp")
	}
	add("alone 8 streams", "1bdp", 8, true)
	return append(grid, single(controller, "bufferbloat queue=10bdp", "dsl,queue=10bdp"))
}

// rivals is one flow against one CUBIC flow, each once the first.
func rivals(controller string) []Scenario {
	fair := Target{Metric: Share, Min: 0.35, Max: 0.65}
	var grid []Scenario
	for _, queue := range []struct {
		size   string
		target []Target
	}{
		{"0.25bdp", []Target{atMost(Share, 0.75)}}, // CUBIC keeps a quarter of the link
		{"1bdp", []Target{fair}}, {"4bdp", []Target{fair}}, {"10bdp", nil},
	} {
		first := Scenario{
			Name: "before cubic queue=" + queue.size, Link: "dsl,queue=" + queue.size,
			Flows:    []Flow{{Controller: controller}, {Controller: "cubic", Start: rivalLater}},
			Duration: rivalDuration, Warmup: rivalWarmup, Targets: queue.target,
		}
		second := first
		second.Name = "after cubic queue=" + queue.size
		second.Flows = []Flow{{Controller: controller, Start: rivalLater}, {Controller: "cubic"}}
		grid = append(grid, first, second)
	}
	return grid
}

// itself is several flows of one controller, that begin one after the other.
func itself(controller string) []Scenario {
	var grid []Scenario
	for _, n := range []int{2, 4, 8} {
		s := Scenario{
			Name: fmt.Sprintf("itself flows=%d", n), Link: "dsl", Duration: selfDuration, Warmup: selfWarmup,
			Targets: []Target{atLeast(Jain, 0.95)},
		}
		for i := range n {
			s.Flows = append(s.Flows, Flow{Controller: controller, Start: time.Duration(i) * selfLater})
		}
		grid = append(grid, s)
	}
	return grid
}

// roundTrips is two flows of one controller with round trips of different lengths; the share is that of
// the shorter one.
func roundTrips(controller string) []Scenario {
	var grid []Scenario
	for _, long := range []int{40, 80, 160} {
		line := time.Duration(long-20) * time.Millisecond / 2
		grid = append(grid, Scenario{
			Name: fmt.Sprintf("round trips 20 and %d ms", long), Link: "rate=50mbit,delay=10ms,queue=250kB",
			Flows:    []Flow{{Controller: controller}, {Controller: controller, Line: line, Start: selfLater}},
			Duration: selfDuration, Warmup: selfWarmup,
		})
	}
	return grid
}

// hardships are links that police, reorder, lose in bursts or have no steady rate.
func hardships(controller string) []Scenario {
	reorders := func(percent float64) []Target {
		return []Target{atMost(Needless, percent), atLeast(Goodput, 0.9*Capacity(dslRate)/1e6)}
	}
	return []Scenario{
		single(controller, "policer", "policer"),
		single(controller, "jitter2", "dsl,jitter=2ms", reorders(0.5)...),
		single(controller, "jitter10", "dsl,jitter=10ms", reorders(2)...),
		single(controller, "bad wifi", "rate=10mbit,delay=40ms,jitter=7ms,queue=1bdp"),
		single(controller, "bursts", "dsl,good=280ms,bad=20ms,badloss=75%"),
		single(controller, "handover", "dsl,outage=60ms,every=2s"),
		single(controller, "starlink", "starlink"),
		single(controller, "lte", "lte"),
	}
}

// marks are queues that mark, alone and shared, and paths that clear the marks or set them all.
func marks(controller string) []Scenario {
	const marking, l4s = "dsl,ecn=5ms", "dsl,ecn=5ms,l4s=1ms"
	beside := func(name, link, other string) Scenario {
		s := single(controller, name, link)
		s.Flows = append(s.Flows, Flow{Controller: other, Start: selfLater})
		s.Duration, s.Warmup = selfDuration, selfWarmup
		return s
	}
	return []Scenario{
		single(controller, "marks", marking),
		beside("marks, itself flows=2", marking, controller),
		beside("marks, before cubic", marking, "cubic"),
		single(controller, "marks, l4s", l4s),
		beside("marks, l4s, itself flows=2", l4s, controller),
		single(controller, "marks bleached", marking+",mangle=bleach"),
		single(controller, "all marked", "dsl,mangle=ce"),
		single(controller, "ECT(0) becomes ECT(1)", marking+",mangle=ect1"),
	}
}

// changes are links that become worse for a while.
func changes(controller string) []Scenario {
	change := func(name, before, meanwhile string, from, to time.Duration, targets ...Target) Scenario {
		s := single(controller, name, before, targets...)
		s.Changes = []Change{{from, meanwhile}, {to, before}}
		s.Duration, s.Shift = to+3*time.Second, changeShift
		return s
	}
	var grid []Scenario
	for _, rate := range []string{"25mbit", "10mbit", "2500kbit"} {
		grid = append(grid, change("drop to "+rate+" and back", "dsl", "dsl,queue=250kB,rate="+rate, 5*time.Second, 11*time.Second))
	}
	for _, loss := range []string{"30%", "50%"} {
		grid = append(grid, change("collapse loss="+loss, "dsl", "dsl,loss="+loss, 4*time.Second, 7*time.Second,
			atLeast(Back, 0.9).every()))
	}
	const rtt = 50 // ms, of the link named blackhole
	for _, length := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
		hole := change(fmt.Sprintf("blackhole %v", length), "delay=25ms,rate=20mbit", "delay=25ms,rate=20mbit,loss=100%",
			4*time.Second, 4*time.Second+length)
		if length <= 2*time.Second { // what is asked; after longer ones probes are rarer
			hole.Targets = []Target{atMost(First, 1.5*rtt).every()}
		}
		grid = append(grid, hole)
	}
	return append(grid, single(controller, "blackhole", "blackhole"))
}

// transfers are of ten million bytes on one stream.
func transfers(controller string) []Scenario {
	transfer := func(name, link string, seconds float64) Scenario {
		s := single(controller, name, link, atMost(Done, seconds))
		s.Flows[0].Bytes, s.Warmup = 10_000_000, 0
		return s
	}
	return []Scenario{
		transfer("10 MB at 20 Mbit/s, 80 ms", "rate=20mbit,delay=40ms,queue=1bdp", 5),
		transfer("10 MB at 10 Mbit/s, jitter 7 ms", "rate=10mbit,delay=40ms,jitter=7ms,queue=1bdp", 10.5),
	}
}

// games are a game's packets beside bulk, in its session and in another one.
func games(controller string) []Scenario {
	var grid []Scenario
	for _, loss := range []string{"0%", "1%", "5%"} {
		together := single(controller, "game in a session of bulk loss="+loss, "dsl,loss="+loss, atMost(Blocked, 1).every())
		together.Flows[0].Game = true
		apart := single(controller, "game beside bulk loss="+loss, "dsl,loss="+loss, atMost(Blocked, 1).every())
		apart.Flows = append(apart.Flows, Flow{Controller: controller, Load: Game})
		grid = append(grid, together, apart)
	}
	return grid
}

// medias are a stream of video, on the links that media are measured on and beside bulk.
func medias(controller string) []Scenario {
	var grid []Scenario
	for _, link := range []string{"clean", "loss1", "loss5", "loss10", "wifi"} {
		s := single(controller, "media "+link, link)
		s.Flows[0].Load = Media
		grid = append(grid, s)
	}
	beside := single(controller, "media beside bulk", "dsl")
	beside.Flows = append(beside.Flows, Flow{Controller: controller, Load: Media})
	return append(grid, beside)
}

// sweep is one flow on paths of all kinds: rate by round trip by buffer by loss.
func sweep(controller string) []Scenario {
	var grid []Scenario
	for _, rate := range []int{5, 50, 500} { // Mbit/s
		for _, rtt := range []int{10, 40, 150} { // ms
			for _, queue := range []string{"0.5bdp", "2bdp"} {
				for _, loss := range []string{"0%", "1%"} {
					s := single(controller, fmt.Sprintf("%d Mbit/s %d ms queue=%s loss=%s", rate, rtt, queue, loss),
						fmt.Sprintf("rate=%dmbit,delay=%dms,queue=%s,loss=%s", rate, rtt/2, queue, loss))
					s.Seeds = sweepSeeds
					if rate == 500 {
						s.Seeds, s.Duration, s.Warmup = fastSeeds, 5*time.Second, 3*time.Second
					}
					grid = append(grid, s)
				}
			}
		}
	}
	return grid
}
