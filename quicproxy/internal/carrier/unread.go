package carrier

import (
	"reflect"
	"sync"
	"unsafe"

	"github.com/quic-go/quic-go"

	"apquic/quicproxy/internal/quicconfig"
)

// A peer can make a program hold what a stream holds unread, and quic-go does not report it: neither how many
// bytes wait, nor that each piece of 128 bytes or more has a buffer of a whole packet, so that a window of 64
// KiB can cost 700, even behind a gap, where no reader sees it. So this file looks at the queue of a stream,
// under the lock of the stream, without changing anything. If the fields of quic-go differ from these, each
// stream counts as its first window (and TestLayout fails).
const (
	// pieceCost is what a piece takes in addition to its bytes: its frame, its callback, its place in the
	// queue.
	pieceCost = 256
	// sampled is how many pieces of a queue are measured, however long it is.
	sampled = 64
)

// piece is quic-go's frameSorterEntry.
type piece struct {
	data []byte
	done func() //lint:ignore U1000 its place counts, see findLayout
}

// offsets are where the fields are that unread needs.
type offsets struct {
	known                             bool
	receiving, mutex, sorter, waiting uintptr
}

var layout = sync.OnceValue(findLayout)

// findLayout finds the offsets in the quic-go that this program is built with.
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

// receivingHalf returns the receiving half of a stream, for unread.
func receivingHalf(stream *quic.Stream) *quic.ReceiveStream {
	if !layout().known {
		return nil
	}
	return *(**quic.ReceiveStream)(unsafe.Add(unsafe.Pointer(stream), layout().receiving))
}

// unread returns how many bytes of memory wait in a stream for its reader.
func unread(stream *quic.ReceiveStream) int {
	o := layout()
	if !o.known || stream == nil {
		return quicconfig.InitialStreamWindow
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
