package protocol

import "time"

// What quality is made of. ITU-T G.107 (E-model) rates speech by R = 93.2 - Id - Ie,eff. Id is the harm of delay
// in the simple form of R. Cole and J. Rosenbluth, "Voice over IP performance monitoring" (ACM CCR 31(2), 2001);
// Ie,eff that of loss, for losses one at a time and for G.711, whose robustness G.113 gives as 4.3 when nothing
// hides a loss.
const (
	bestRating     = 93.2
	delayHarm      = 0.024 // by ms
	longDelay      = 177.3 // ms, from which on delay harms more
	longDelayHarm  = 0.11
	worstLoss      = 95
	lossRobustness = 4.3 // percent
)

// quality rates a direction from 0 to 100: 100 is no delay and no loss. delay is the one-way delay, play-out
// included, and lost the share, 0 to 1, of what did not come, or not in time, after all repair.
func quality(delay time.Duration, lost float64) float64 {
	ms, percent := delay.Seconds()*1000, lost*100
	harm := delayHarm*ms + longDelayHarm*max(ms-longDelay, 0) + worstLoss*percent/(percent+lossRobustness)
	return max(0, 100*(bestRating-harm)/bestRating)
}
