package certs

import "fmt"

// PublishedKeyError refuses a private key that is in public documentation, so that anybody could be this
// node.
type PublishedKeyError struct {
	ID    NodeID // of the key
	Where string // where it was published
}

func (e *PublishedKeyError) Error() string {
	return fmt.Sprintf("private key of %v: it was published in %s, so anybody could pose as its owner", e.ID, e.Where)
}

// Hint says how to get a new key.
func (e *PublishedKeyError) Hint() string {
	return "remove this private key: a new one is made at the next start"
}

// checkPublished returns a *PublishedKeyError if the private key of id was published.
func checkPublished(id NodeID) error {
	if where := publishedIn(id.String()); where != "" {
		return &PublishedKeyError{ID: id, Where: where}
	}
	return nil
}

// publishedIn names the document that contains the private key of id; "": none is known. Only the public
// halves of these keys are in the code.
func publishedIn(id string) string {
	switch id {
	case "9murrqRxsyVyfCFiF5KQe5x4jt7yVjU6c26D5K4QZjvC":
		return "the Elastos Active Proxy guide (peerPrivateKey of the server's example)"
	case "B1QriHBeGZyrynG9LyBy3ENiXmWR8TSKNEDXYMNDh7wb":
		return "the Active Proxy client guide and apps/launcher/sample.conf of Elastos.Carrier.Native"
	case "F2sMTUB7vq4jAoeHceGWfwfvyqNEUbrhCwHCCnbo4imW":
		return "apps/launcher/default.conf of Elastos.Carrier.Native, which its Debian package installs for everyone"
	case "216BBq15LQrzs6jFrWdVFnCD2tJRYmzPEs4LdvfmMUiN":
		return "the sample.conf of the Java implementation of Elastos Carrier"
	}
	return ""
}
