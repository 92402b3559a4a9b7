package totals

import (
	"io"

	"apquic/certs"
)

// File is the path of the file of a server that does not run. It is opened for each question, and never changed.
type File string

// Sum is that of Totals.
func (f File) Sum(q Query) (sums []Total, err error) {
	t, err := Read(string(f))
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return t.Sum(q)
}

// Month is that of Totals; 0 if the file cannot be read.
func (f File) Month(node certs.NodeID) uint64 {
	t, err := Read(string(f))
	if err != nil {
		return 0
	}
	defer t.Close()
	return t.Month(node)
}

// Export is that of Totals.
func (f File) Export(w io.Writer) error {
	t, err := Read(string(f))
	if err != nil {
		return err
	}
	defer t.Close()
	return t.export(w)
}
