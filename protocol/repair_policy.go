package protocol

import (
	"math"
	"time"
)

const (
	// repairFrom is the loss below which nothing is repaired in advance, and repairAt the number of the last 64
	// packets of which that is never said: what is lost so rarely is sent again when it is missed.
	repairFrom = 0.003
	repairAt   = 3
	// priorLoss is the loss that a path is taken to have until priorPackets were acknowledged or lost: the first
	// frame of a video is worth a dozen symbols.
	priorLoss    = 0.05
	priorPackets = 64
	// promptMiss is how many bursts of messages may stay incomplete for another burst, as a share, when the goal is
	// to be prompt: half of what a 99.9th percentile sees.
	promptMiss = 5e-4
	// economyMiss is the share of messages that may miss their deadline when the goal is economy: a tenth of
	// what the eye or the ear notices in a minute of media (1e-4). Where the code alone must do, a miss less costs
	// several times as much, and codeMiss is the share of windows.
	economyMiss = 1e-5
	codeMiss    = 5e-4
	// promptWindow is the least time whose packets are looked at as one burst: that of a frame at 60 Hz.
	promptWindow = time.Second / 60
	// inAdvance is the part of the cap that symbols sent in advance may use: the rest is for what they did not repair.
	inAdvance = 0.93
	// leastHelp is the part of the cap that symbols in advance may use where they help in less than half of the cases.
	// That is judged with helpSymbols at least.
	leastHelp   = 0.25
	helpSymbols = 3
	// planShare of a round trip is how long a plan is good for.
	planShare = 4
	// queueRise is how much of the smallest round trip the smoothed one may be above it, minQueueRise how much in
	// any case, before loss is taken for that of a full queue.
	queueRise    = 4
	minQueueRise = 15 * time.Millisecond
)

// repairPlan is how the messages of a channel are repaired at present.
type repairPlan struct {
	until Time    // the plan is good until then
	ratio float64 // symbols for each packet; 0: the code is not used
	late  bool    // it is for packets that leave when they cannot be sent again any more
}

// repairs reports whether messages of the channel are repaired beyond plain retransmission: those that have a
// deadline and are sent again when they are lost.
func (c *sendChannel) repairs() bool { return c.deadline > 0 && reliable(c.mode) }

// planFor returns the plan for a channel on a path.
func (s *Session) planFor(now Time, p *path, c *sendChannel) *repairPlan {
	if now.Before(c.plan.until) {
		return &c.plan
	}
	c.plan = repairPlan{until: now.Add(max(p.loss.rtt.smoothed/planShare, time.Millisecond))}
	loss := p.loss.likelyLoss()
	limit := s.overheadCap(c)
	if loss == 0 || limit == 0 || p.loss.crowded() {
		return &c.plan
	}
	burst := p.loss.rate.burstMean()
	n := s.packetsWithin(promptWindow)
	miss := promptMiss
	if c.goal == Economy {
		c.plan.late = p.loss.rounds(c.deadline) >= 1
		n, miss = min(max(s.packetsWithin(c.deadline), int(c.queue.tail-c.sendAt)), coverSpan), codeMiss
	}
	c.plan.ratio = codeRatio(n, loss, burst, miss, limit*inAdvance)
	return &c.plan
}

// presentLoss returns the loss that repair should reckon with, 0 when it is too little to repair: that of the last
// minute, or of the last packets where it has clearly risen. On a path that reorders, what is taken for lost arrives
// after all, only later: so losses count as often as those of the path so far were true.
func (l *lossState) presentLoss() float64 {
	loss, fast := l.rate.slow(), l.rate.fast()
	if fast*fastPackets >= repairAt && fast > 2*loss {
		loss = fast
	}
	if lost := l.stats.packetsLost; lost > 0 {
		loss *= 1 - float64(l.stats.spurious)/float64(lost)
	}
	if loss < repairFrom {
		return 0
	}
	return loss
}

// likelyLoss is presentLoss, and a guess as long as too little is known of the path.
func (l *lossState) likelyLoss() float64 {
	if l.rate.judged() < priorPackets {
		return max(l.presentLoss(), priorLoss)
	}
	return l.presentLoss()
}

// judged returns of how many packets of the last one to two minutes the fate is known.
func (r *lossRate) judged() float64 { return r.window.packets + r.before.packets }

// crowded reports whether packets wait in a queue on the path. What is lost then is best answered by less.
//
// spec: FEC-37
func (l *lossState) crowded() bool {
	least := l.rtt.min()
	return l.rtt.smoothed-least > max(least/queueRise, minQueueRise)
}

// rounds is how many times a message can be sent again, one after the other, before its deadline: a loss is
// known after a round trip and the reordering window.
func (l *lossState) rounds(d time.Duration) int { return int(d / l.lossDelay()) }

// packetsWithin is how many covered packets leave in a time d, those of a burst at least.
func (s *Session) packetsWithin(d time.Duration) int {
	if s.repair == nil || s.repair.send == nil || s.repair.send.perPause == 0 {
		return 1
	}
	r := s.repair.send
	n := r.perBurst * max(1, float64(d)/float64(r.perPause))
	return max(1, int(n+0.5))
}

// codeRatio returns the least share of symbols, a multiple of 1/n and limit at most, with which n packets and their
// symbols are lost beyond repair with a chance of at most miss. Losses come in runs of a mean length. Where so many
// symbols help in less than half of the cases, because the runs are long, most of the limit is left for when something
// is lost.
func codeRatio(n int, loss, run, miss, limit float64) float64 {
	for symbols := 1.0; symbols < limit*float64(n); symbols++ {
		if codeFails(float64(n), symbols, loss, run) <= miss {
			return symbols / float64(n)
		}
	}
	whole := max(float64(n), helpSymbols/limit)
	if codeFails(whole, limit*whole, loss, run) > codeFails(whole, 0, loss, run)/2 {
		return limit * leastHelp
	}
	return limit
}

// codeFails is the chance that n packets and their symbols are lost beyond repair.
func codeFails(n, symbols, loss, run float64) float64 {
	return beyond(math.Ceil((n+symbols)/run), math.Floor(symbols/run), loss)
}

// beyond is the chance of more than k successes in n independent trials.
func beyond(n, k, p float64) float64 {
	term := math.Pow(1-p, n)
	sum := term
	for i := 1.0; i <= k; i++ {
		term *= (n - i + 1) / i * p / (1 - p)
		sum += term
	}
	return max(0, 1-sum)
}

// owe notes that a packet was covered, and how many symbols that is worth to its channel.
func (r *repairSender) owe(now Time, c *sendChannel, ratio float64) {
	if now.Sub(r.last) > symbolPause || r.last.IsZero() {
		r.countBurst(now)
	}
	r.burst++
	r.last = now
	had := r.owed
	r.owed += ratio
	c.books.owed += ratio
	if had < 1 && r.owed >= 1 {
		r.since, r.from = now, r.encoder.Next()-1
	}
}

// countBurst averages what came until a pause.
func (r *repairSender) countBurst(now Time) {
	const weight = 8
	if pause := now.Sub(r.lastBurst); r.burst > 0 && pause < time.Second {
		if r.perBurst == 0 {
			r.perBurst, r.perPause = float64(r.burst), pause
		}
		r.perBurst += (float64(r.burst) - r.perBurst) / weight
		r.perPause += (pause - r.perPause) / weight
	}
	r.burst, r.lastBurst = 0, now
}

// repairDeadline is when a symbol, a copy, or what waits for a symbol is due; 0: nothing is.
func (s *Session) repairDeadline() Time {
	if s.repair == nil {
		return 0
	}
	at := s.repair.doubles.next
	r := s.repair.send
	if r == nil {
		return at
	}
	if held := r.heldUntil(); held != 0 && (at == 0 || held < at) {
		at = held
	}
	if due := r.due(); due.After(r.tried) && (at == 0 || due < at) {
		at = due
	}
	return at
}
