// Package docs has the documents that the programs show.
package docs

import _ "embed"

// OpenAPI describes the API of a server, in OpenAPI 3.1.
//
//go:embed openapi.json
var OpenAPI []byte
