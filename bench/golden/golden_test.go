package golden

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const width = 6

func written(t *testing.T, note, text string) Table {
	t.Helper()
	table := Table{File: filepath.Join(t.TempDir(), "new", "table.txt"), NameWidth: width}
	require.NoError(t, table.Write(note, text))
	return table
}

func TestEqualRowsAreNoDifferenceWhateverTheHeadingsSay(t *testing.T) {
	table := written(t, "made by me", "# old heading\nfirst  1\nother  2\n")
	differences, err := table.Compare("# new heading\nother  2\nfirst  1\n", true)
	require.NoError(t, err)
	require.Empty(t, differences)
	text, err := os.ReadFile(table.File)
	require.NoError(t, err)
	require.Equal(t, "# made by me\n# old heading\nfirst  1\nother  2\n", string(text))
}

func TestRowsThatMovedStandBeforeAndAfter(t *testing.T) {
	table := written(t, "", "first  1\nother  2\nthird  3\n")
	differences, err := table.Compare("first  1\nother  5\nfourth 4\n", true)
	require.NoError(t, err)
	require.Equal(t, []string{"- other  2", "+ other  5", "- third  3", "+ fourth 4"}, differences)
}

func TestRowsThatWereNotPlayedDoNotCount(t *testing.T) {
	table := written(t, "", "first  1\nother  2\n")
	differences, err := table.Compare("other  2\n", false)
	require.NoError(t, err)
	require.Empty(t, differences)
}

func TestATableThatIsNotThereIsAnError(t *testing.T) {
	_, err := Table{File: filepath.Join(t.TempDir(), "none")}.Compare("", true)
	require.ErrorIs(t, err, os.ErrNotExist)
}
