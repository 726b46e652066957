package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseLinkReadsNamesPairsAndNamesWithPairs(t *testing.T) {
	for text, want := range map[string]Config{
		"":                               {},
		"loss5":                          {Name: "loss5", Delay: 25 * time.Millisecond, Loss: 0.05},
		" Loss5 ":                        {Name: "loss5", Delay: 25 * time.Millisecond, Loss: 0.05},
		"dsl,loss=1%,queue=4bdp":         {Name: "dsl", Delay: 20 * time.Millisecond, Rate: 50e6, QueueBDP: 4, Loss: 0.01},
		"dsl, queue=64kB":                {Name: "dsl", Delay: 20 * time.Millisecond, Rate: 50e6, Queue: 64_000},
		"delay=25ms,loss=0.1%":           {Delay: 25 * time.Millisecond, Loss: 0.001},
		"rate=1.5mbit,queue=1500B":       {Rate: 1_500_000, Queue: 1500},
		"policer,police=none,burst=0B":   {Name: "policer", Delay: 20 * time.Millisecond},
		"starlink,trace=none,queue=0bdp": {Name: "starlink", Loss: 0.003},
		"jitter=2ms,dup=1%,reorder=1%,corrupt=0.1%,mtu=1400,seed=7": {
			Jitter: 2 * time.Millisecond, Duplicate: 0.01, Reorder: 0.01, Corrupt: 0.001, MTU: 1400, Seed: 7,
		},
	} {
		got, err := ParseLink(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParseLinkSaysWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"los5":                    `no link is named "los5": use one of clean loss1`,
		"loss5,dsl":               `"dsl" needs a value, such as loss=5%; a named link comes first`,
		"loss=5":                  `loss: write a percentage up to 100% such as loss=5%, not "5"`,
		"loss=101%":               `write a percentage up to 100%`,
		"loss=-1%":                `write a percentage`,
		"loss=1e1%":               `write a percentage`,
		"delay=25":                `delay: write a time up to 10m such as delay=25ms, not "25"`,
		"delay=1h":                `write a time up to 10m`,
		"delay=-1ms":              `write a time up to 10m`,
		"rate=50":                 `write a rate from 1kbit to 1000gbit, or none, such as rate=50mbit`,
		"rate=1bit":               `write a rate from 1kbit`,
		"rate=9999gbit":           `write a rate from 1kbit to 1000gbit`,
		"queue=2":                 `write bytes such as 64kB, or bandwidth-delay products such as queue=1bdp`,
		"mtu=20":                  `write a number from 68 to 65575 such as mtu=1400`,
		"seed=x":                  `write a whole number such as seed=7`,
		"good=1\n2":               `good: write a time up to 10m such as good=280ms, not "1\n2"`,
		"drop=012":                `write a row of 0 and 1 such as drop=0010`,
		"trace=5g":                `write starlink, lte or none such as trace=starlink`,
		"lag=5ms":                 `unknown key "lag": use one of delay jitter rate`,
		"delay=1ms,delay=2ms":     `delay is given twice: keep one`,
		"queue=1bdp":              `write rate=50mbit too`,
		"ecn=5ms":                 `write rate=50mbit too`,
		"l4s=1ms":                 `write rate=50mbit too`,
		"mangle=ce1":              `write bleach, ce, ect1 or none such as mangle=bleach`,
		"burst=64kB":              `write police=20mbit too`,
		"bad=20ms":                `write good=280ms,bad=20ms,badloss=75%`,
		"badloss=20%":             `write good=280ms,bad=20ms,badloss=75%`,
		"good=1ns,bad=1ns":        `last at least 1ms`,
		"outage=1ns,every=2ns":    `last at least 1ms`,
		"outage=60ms":             `write outage=60ms,every=2s`,
		"outage=3s,every=2s":      `must be shorter than every`,
		"on=5s":                   `write on=5s,off=2s`,
		"starlink,rate=5mbit":     `rate and trace exclude each other`,
		"mtu=68,overhead=68":      `mtu must be larger than overhead`,
		strings.Repeat("a", 9999): `at most`,
	} {
		_, err := ParseLink(text)
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), "\n", text)
	}
}

func TestEveryNamedLinkIsValidAndReadsAsItsName(t *testing.T) {
	for _, name := range Profiles() {
		c, err := ParseLink(name)
		require.NoError(t, err)
		require.Equal(t, name, c.String())
		_, err = NewLink(c, 0)
		require.NoError(t, err)
	}
}

func TestEveryKeyHasAnExampleThatParsesAndHelp(t *testing.T) {
	for _, k := range LinkKeys() {
		var c Config
		require.NoError(t, c.Set(k.Name, k.Example))
		require.NotEmpty(t, k.Help)
		require.Contains(t, c.String(), k.Name+"=")
	}
	require.Error(t, new(Config).Set("nothing", "1"))
}

func TestStringGivesOnlyWhatDiffersFromTheName(t *testing.T) {
	c, _ := Profile("loss5")
	c.Delay = 50 * time.Millisecond
	c.Loss = 0
	require.Equal(t, "loss5,delay=50ms,loss=0%", c.String())
	require.Equal(t, "delay=0s", Config{}.String())
	require.Equal(t, "loss=0.0000001%", Config{Loss: 1e-9}.String())
}

func TestValidateCatchesWhatTheLanguageCannotSay(t *testing.T) {
	for _, c := range []Config{
		{Loss: -0.1}, {Loss: 1.1}, {Delay: -1}, {Delay: time.Hour}, {Rate: -1}, {Rate: 10}, {MTU: 1}, {Queue: -1, Rate: 1e6},
		{Trace: "none such"}, {Drop: "x"}, {Burst: 1 << 40, Police: 1e6}, {CustomTrace: &Trace{}},
	} {
		require.Error(t, c.Validate(), "%+v", c)
		_, _, err := NewPair(c, 0)
		require.Error(t, err)
	}
}

func FuzzParseLink(f *testing.F) {
	for _, name := range Profiles() {
		f.Add(name)
	}
	f.Add("dsl,loss=1%,queue=0.25bdp")
	f.Add("delay=25ms,loss=5%,rate=50mbit,jitter=2ms,dup=1%,reorder=1%,corrupt=0.1%,mtu=1400,seed=7")
	f.Add("good=1s,bad=1ms,badloss=33.3333333%,outage=60ms,every=2s,on=1s,off=1s,drop=0101")
	f.Add("police=1gbit,burst=1MB,rebind=10s,replay=1%,replayby=3s,reorderby=1us,overhead=48,ecn=1ms,l4s=1ms,mangle=ce,rate=7kbit")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseLink(text)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		again, err := ParseLink(c.String())
		require.NoError(t, err)
		require.Equal(t, c, again)
		if c.Trace != "" {
			return // traces are slow to load and have tests of their own
		}
		l, err := NewLink(c, 0)
		require.NoError(t, err)
		for i := range 20 {
			l.Send(second, 100*i, 0)
		}
	})
}
