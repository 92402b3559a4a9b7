package totals

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"apquic/certs"
	"apquic/internal/usage"
)

const (
	nodeSize   = len(certs.NodeID{})
	maxService = 255 // bytes of a name
	maxDay     = 2_932_896
)

var (
	errDamaged = errors.New("the file is damaged")
	errFormat  = errors.New("the file belongs to another program or version")
)

// Day is a day in UTC, counted from 1970-01-01.
type Day uint32

// DayOf is the day of a time; the first one for those before.
func DayOf(t time.Time) Day { return Day(min(max(t.Unix()/86400, 0), maxDay)) }

// ParseDay reads a day such as 2026-11-27.
func ParseDay(text string) (Day, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Unix() < 0 {
		return 0, fmt.Errorf("%.20q is not a day such as 2026-11-27", text)
	}
	return DayOf(t), nil
}

func (d Day) time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String is such as 2026-11-27.
func (d Day) String() string { return d.time().Format(time.DateOnly) }

// MarshalText implements encoding.TextMarshaler.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Day) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDay(string(text))
	return err
}

// first is the first day of the month.
func (d Day) first() Day {
	t := d.time()
	return d - Day(t.Day()-1)
}

// Row is what is counted together.
type Row struct {
	Day     Day
	Node    certs.NodeID // zero: of no single node, such as a group
	Service string       // empty: all that were too many to be counted alone
}

func (r Row) key() []byte {
	key := binary.BigEndian.AppendUint32(make([]byte, 0, 4+nodeSize+len(r.Service)), uint32(r.Day))
	return append(append(key, r.Node[:]...), r.Service...)
}

func readKey(key []byte) (r Row, err error) {
	if len(key) < 4+nodeSize || len(key) > 4+nodeSize+maxService {
		return r, fmt.Errorf("%w: a key has %d bytes", errDamaged, len(key))
	}
	if r.Day = Day(binary.BigEndian.Uint32(key)); r.Day > maxDay {
		return r, fmt.Errorf("%w: there is a row of day %d", errDamaged, r.Day)
	}
	copy(r.Node[:], key[4:])
	r.Service = string(key[4+nodeSize:])
	return r, nil
}

// encode writes counts as numbers of variable length, in this order.
func encode(c usage.Counts) (data []byte) {
	for _, n := range []uint64{c.In, c.Out, c.Connections, c.Flows, c.Refused} {
		data = binary.AppendUvarint(data, n)
	}
	return data
}

// decode reads what encode writes, and nothing else.
func decode(data []byte) (c usage.Counts, err error) {
	for _, n := range []*uint64{&c.In, &c.Out, &c.Connections, &c.Flows, &c.Refused} {
		if data, err = number(data, n); err != nil {
			return usage.Counts{}, err
		}
	}
	if len(data) > 0 {
		return usage.Counts{}, fmt.Errorf("%w: something follows the numbers of a row", errDamaged)
	}
	return c, nil
}

// number reads one, in the shortest form that it has.
func number(data []byte, n *uint64) (rest []byte, err error) {
	var size int
	if *n, size = binary.Uvarint(data); size <= 0 || size > 1 && data[size-1] == 0 {
		return nil, fmt.Errorf("%w: a row lacks a number", errDamaged)
	}
	return data[size:], nil
}
