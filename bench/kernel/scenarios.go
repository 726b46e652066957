//go:build linux

package main

import (
	"fmt"
	"time"
)

// Durations of the scenarios.
const (
	aloneDuration = 12 * time.Second
	aloneWarmup   = 2 * time.Second
	// Two flows need some of CUBIC's sawteeth, up to 10 s each behind a deep buffer, until they share.
	rivalDuration = 60 * time.Second
	rivalWarmup   = 20 * time.Second
	rivalLater    = 5 * time.Second // from the start of the first flow to that of the second
)

// section is scenarios that make one table.
type section struct {
	title     string
	text      string
	scenarios []scenario
}

var (
	tcpCubic    = sender{tcp: true, controller: "cubic"}
	tcpBBR      = sender{tcp: true, controller: "bbr"}
	cubic       = sender{controller: "cubic"}
	adaptive    = sender{controller: "adaptive"}
	allSenders  = []sender{tcpCubic, tcpBBR, cubic, adaptive}
	queues      = []string{"0.25bdp", "1bdp", "4bdp"}
	randomLoss  = []string{"0%", "1%", "5%"}
	sectionList = []section{
		{"Alone", "One flow, loss at random in both directions.", alone()},
		{"Against the kernel's CUBIC", "Two flows, the first one 5 s earlier.", rivals(adaptive, tcpCubic)},
		{"Against the kernel's BBR", "Two flows, the first one 5 s earlier.", rivals(adaptive, tcpBBR)},
		{"Adaptive with itself", "Two flows, the first one 5 s earlier.", []scenario{rival(adaptive, adaptive, "1bdp")}},
		{"For comparison", "What rivals of other kinds do to each other: our CUBIC ought to be a rival like the kernel's.", others()},
	}
)

func alone() []scenario {
	var list []scenario
	for _, s := range allSenders {
		for _, loss := range randomLoss {
			list = append(list, scenario{
				name: fmt.Sprintf("%v, loss %s", s, loss), link: "dsl,loss=" + loss,
				flows: []flow{{sender: s}}, duration: aloneDuration, warmup: aloneWarmup,
			})
		}
	}
	return list
}

// rival is two flows that share the link, the second one later.
func rival(first, second sender, queue string) scenario {
	return scenario{
		name: fmt.Sprintf("%v, then %v, queue %s", first, second, queue), link: "dsl,queue=" + queue,
		flows: []flow{{sender: first}, {second, rivalLater}}, duration: rivalDuration, warmup: rivalWarmup,
	}
}

// rivals are two senders with queues of several sizes, each once the first.
func rivals(a, b sender) []scenario {
	var list []scenario
	for _, queue := range queues {
		list = append(list, rival(a, b, queue), rival(b, a, queue))
	}
	return list
}

func others() []scenario {
	return []scenario{
		rival(cubic, tcpCubic, "1bdp"), rival(tcpCubic, cubic, "1bdp"),
		rival(tcpBBR, tcpCubic, "0.25bdp"), rival(tcpBBR, tcpCubic, "1bdp"), rival(tcpBBR, tcpCubic, "4bdp"),
	}
}
