package reload

import "os"

// sight is what there was at the path of a file.
type sight struct {
	info os.FileInfo // nil: see err
	err  error
}

func look(path string) sight {
	if path == "" {
		return sight{}
	}
	info, err := os.Stat(path)
	return sight{info, err}
}

// equals reports whether nobody has written the file in between, as far as one can see.
func (s sight) equals(other sight) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info && (s.err == nil) == (other.err == nil) && (s.err == nil || s.err.Error() == other.err.Error())
	}
	a, b := s.info, other.info
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode() && s.owner() == other.owner()
}
