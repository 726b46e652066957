package congestion

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestControllersAreFoundByTheirNames(t *testing.T) {
	require.Equal(t, []string{"adaptive", "bbr", "cubic", "prague"}, Names())
	for _, name := range Names() {
		construct, ok := Named(name)
		require.True(t, ok)
		require.Equal(t, name, construct(Config{}).Name())
	}
	_, ok := Named("reno")
	require.False(t, ok)
}
