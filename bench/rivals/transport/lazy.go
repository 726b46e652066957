package transport

import "sync"

// hello is the byte with which a dialing end opens the first stream where streams show with their first byte.
var hello = []byte{'!'}

// lazy is the first stream of an accepted session: it is taken when it is first used, since that may have to wait
// for the peer. It begins with hello.
type lazy struct {
	accept func() (Stream, error)

	once   sync.Once
	stream Stream
	failed error
}

func (l *lazy) get() (Stream, error) {
	l.once.Do(func() {
		if l.stream, l.failed = l.accept(); l.failed == nil {
			_, l.failed = l.stream.Read(make([]byte, len(hello)))
		}
	})
	return l.stream, l.failed
}

// settle takes the first stream, if it was not yet taken, so that it is not taken for a further one.
func settle(first readWriter) error {
	if l, ok := first.(*lazy); ok {
		_, err := l.get()
		return err
	}
	return nil
}

func (l *lazy) Read(b []byte) (int, error) {
	stream, err := l.get()
	if err != nil {
		return 0, err
	}
	return stream.Read(b)
}

func (l *lazy) Write(b []byte) (int, error) {
	stream, err := l.get()
	if err != nil {
		return 0, err
	}
	return stream.Write(b)
}
