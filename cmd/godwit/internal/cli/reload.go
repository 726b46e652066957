package cli

import (
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleTime is how long after the first sign of a change its files are read: editors and deployment tools write,
// rename and remove several files in one go.
const settleTime = 200 * time.Millisecond

// reloader has a command that runs on take its files again when they change, and on SIGHUP.
type reloader struct {
	log    *slog.Logger
	reload func() (files []string, err error) // on an error nothing has changed
	hangup chan os.Signal
	watch  *fsnotify.Watcher // nil: the system has none left
	files  []string
	seen   [sha256.Size]byte // of the files when they were read last
}

// newReloader watches the files of a configuration, which had a fingerprint when they were read. The caller calls run,
// then close.
func newReloader(log *slog.Logger, files []string, seen [sha256.Size]byte, reload func() ([]string, error)) *reloader {
	r := &reloader{log: log, reload: reload, hangup: make(chan os.Signal, 1), seen: seen}
	signal.Notify(r.hangup, syscall.SIGHUP)
	var err error
	if r.watch, err = fsnotify.NewWatcher(); err != nil {
		log.Warn("files are not watched; send SIGHUP after a change", "reason", err)
	}
	r.follow(files)
	return r
}

func (r *reloader) close() {
	signal.Stop(r.hangup)
	if r.watch != nil {
		_ = r.watch.Close()
	}
}

// follow watches the folders of files: a file that is replaced by a rename is another file, in the same folder. Where
// a file is a link, the folder that it leads to is watched too.
func (r *reloader) follow(files []string) {
	r.files = files
	if r.watch == nil {
		return
	}
	for _, file := range files {
		folders := []string{filepath.Dir(file)}
		if real, err := filepath.EvalSymlinks(file); err == nil && filepath.Dir(real) != folders[0] {
			folders = append(folders, filepath.Dir(real))
		}
		for _, folder := range folders {
			if err := r.watch.Add(folder); err != nil {
				r.log.Warn("a folder is not watched; send SIGHUP after a change", "folder", folder, "reason", err)
			}
		}
	}
}

// run reloads until ctx ends.
func (r *reloader) run(ctx context.Context) {
	var events chan fsnotify.Event
	var errors chan error
	if r.watch != nil {
		events, errors = r.watch.Events, r.watch.Errors
	}
	settled := time.After(0) // here and below: files may have changed between the reading and the watching
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hangup:
			r.apply()
			settled = time.After(settleTime)
		case err := <-errors:
			r.log.Warn("files may have changed unseen; send SIGHUP after a change", "reason", err)
		case <-events:
			if settled == nil {
				settled = time.After(settleTime)
			}
		case <-settled:
			settled = nil
			if fingerprint(r.files) != r.seen {
				r.apply()
				settled = time.After(settleTime)
			}
		}
	}
}

// apply reloads now and logs what came of it.
func (r *reloader) apply() {
	r.seen = fingerprint(r.files) // before they are read, so that no later change goes unseen
	files, err := r.reload()
	if err != nil {
		r.log.Error("configuration not changed: the new one cannot be used", "reason", oneLine(err))
		return
	}
	if !slices.Equal(files, r.files) {
		r.seen = fingerprint(files)
	}
	r.follow(files) // links may lead elsewhere now
	r.log.Info("configuration changed")
}

// fingerprint tells whether the content of files has changed. A file that cannot be read counts as empty.
func fingerprint(files []string) (sum [sha256.Size]byte) {
	hash := sha256.New()
	for _, file := range files {
		data := sha256.Sum256(contentOf(file))
		hash.Write(data[:])
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

func contentOf(file string) []byte {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	data, _ := io.ReadAll(f) // a part differs from the whole
	return data
}
