package carrier

import (
	"reflect"
	"sync"
	"unsafe"

	"github.com/quic-go/quic-go"

	"apquic/quicproxy/internal/conn"
)

// What a stream holds that nobody has read is what a peer can make a program hold, and quic-go does not tell it: neither how
// many bytes wait, nor that each piece of 128 bytes or more has a buffer of a whole packet, so that 64 KiB of a window can
// cost 700, also behind a gap, where no reader sees them. So this file looks at the queue of a stream, under the lock
// of the stream, and changes nothing. Where quic-go has other fields than these, streams count with their first window
// (TestUnread fails then).
const (
	// pieceCost is what a piece takes beside its bytes: its frame, its callback, its place in the queue.
	pieceCost = 256
	// sampled is how many pieces are looked at, of a queue of any length.
	sampled = 64
)

// piece is quic-go's frameSorterEntry.
type piece struct {
	data []byte
	done func() //lint:ignore U1000 its place counts, see findLayout
}

// offsets are where the fields are that count.
type offsets struct {
	known                             bool
	receiving, mutex, sorter, waiting uintptr
}

var layout = sync.OnceValue(findLayout)

func findLayout() (o offsets) {
	field := func(of reflect.Type, name string, kind reflect.Kind) (reflect.Type, uintptr) {
		if of == nil {
			return nil, 0
		}
		f, ok := of.FieldByName(name)
		if !ok || f.Type.Kind() != kind {
			return nil, 0
		}
		if kind == reflect.Pointer {
			return f.Type.Elem(), f.Offset
		}
		return f.Type, f.Offset
	}
	var receive, mutex, sorter, queue reflect.Type
	receive, o.receiving = field(reflect.TypeFor[quic.Stream](), "receiveStr", reflect.Pointer)
	mutex, o.mutex = field(receive, "mutex", reflect.Struct)
	sorter, o.sorter = field(receive, "frameQueue", reflect.Pointer)
	queue, o.waiting = field(sorter, "queue", reflect.Map)
	o.known = receive == reflect.TypeFor[quic.ReceiveStream]() && mutex == reflect.TypeFor[sync.Mutex]() &&
		queue != nil && queue.Key().Kind() == reflect.Int64 && sameEntry(queue.Elem())
	return o
}

// SeesUnread reports whether this quic-go is one whose streams can be looked at.
func SeesUnread() bool { return layout().known }

// sameEntry reports whether t has the fields of piece.
func sameEntry(t reflect.Type) bool {
	want := reflect.TypeFor[piece]()
	if t.Kind() != reflect.Struct || t.NumField() != want.NumField() {
		return false
	}
	for i := range want.NumField() {
		if t.Field(i).Type != want.Field(i).Type {
			return false
		}
	}
	return true
}

// receivingHalf is the half of a stream that is received, for unread.
func receivingHalf(stream *quic.Stream) *quic.ReceiveStream {
	if !layout().known {
		return nil
	}
	return *(**quic.ReceiveStream)(unsafe.Add(unsafe.Pointer(stream), layout().receiving))
}

// unread is how many bytes of memory wait in a stream for its reader.
func unread(stream *quic.ReceiveStream) int {
	o := layout()
	if !o.known || stream == nil {
		return conn.InitialStreamWindow
	}
	mutex := (*sync.Mutex)(unsafe.Add(unsafe.Pointer(stream), o.mutex))
	mutex.Lock()
	defer mutex.Unlock()
	sorter := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(stream), o.sorter))
	queue := *(*map[int64]piece)(unsafe.Add(sorter, o.waiting))
	bytes, seen := 0, 0
	for _, p := range queue {
		bytes += cap(p.data) + pieceCost
		if seen++; seen == sampled {
			break
		}
	}
	if seen == 0 {
		return 0
	}
	return bytes / seen * len(queue)
}
