package admin

import (
	"encoding"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"apquic/docs"
	"apquic/internal/events"
)

const documentFile = "../docs/openapi.json"

var update = flag.Bool("update", false, "write docs/openapi.json from the routes and their types")

type object = map[string]any

// TestDocument: docs/openapi.json says what the routes are, with the fields of what they take and answer. -update, or
// make generate, makes it so.
func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := json.MarshalIndent(newDocument(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	switch {
	case string(text) == string(docs.OpenAPI):
	case *update:
		if err := os.WriteFile(documentFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("docs/openapi.json differs from the routes and their types: run make generate")
	}
}

// newDocument describes the routes.
func newDocument(t *testing.T) object {
	s := &schemas{t: t, named: object{}, comments: make(map[string]map[string]string)}
	paths := object{}
	for _, r := range routes(new(Authority), nil, nil) {
		operation := object{"operationId": r.name, "summary": r.summary, "responses": object{
			"200": s.answer(r), "default": object{"description": "why not", "content": jsonOf(s.of(reflect.TypeFor[failure]()))},
		}}
		if r.request != nil {
			s.strict = true
			operation["requestBody"] = object{"required": true, "content": jsonOf(s.of(reflect.TypeOf(r.request)))}
			s.strict = false
		}
		var parameters []object
		for _, p := range r.parameters {
			parameters = append(parameters, object{"name": p.name, "in": p.in, "description": p.about, "schema": object{"type": p.kind}})
		}
		if parameters != nil {
			operation["parameters"] = parameters
		}
		paths[Prefix+r.name] = object{strings.ToLower(r.method): operation}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "apquic-server", "version": "1",
			"description": "What the owner of a server sees and does. On the unix socket control.sock in the data directory no token is needed. docs/api.md says more.",
		},
		"security":   []object{{"token": []string{}}, {}},
		"paths":      paths,
		"components": object{"schemas": s.named, "securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}}},
	}
}

func jsonOf(schema any) object { return object{"application/json": object{"schema": schema}} }

// schemas describes Go types as JSON Schema; structs with a name get an entry in named.
type schemas struct {
	t        *testing.T
	strict   bool // unknown fields are refused
	named    object
	comments map[string]map[string]string // of fields, by folder, then TYPE.FIELD
}

func (s *schemas) answer(r route) object {
	switch {
	case r.name == "events":
		return object{"description": "a stream; data is an event", "content": object{"text/event-stream": object{"schema": s.of(reflect.TypeFor[events.Event]())}}}
	case r.answer == nil:
		return object{"description": r.summary, "content": jsonOf(object{"type": "object"})}
	}
	return object{"description": r.summary, "content": jsonOf(s.of(reflect.TypeOf(r.answer)))}
}

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
)

func (s *schemas) of(t reflect.Type) object {
	switch {
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t == rawType:
		return object{"type": "object"}
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem())
	case t.Implements(textType), t.Kind() == reflect.String:
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint16:
		return object{"type": "integer", "minimum": 0, "maximum": 65535}
	case reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		if t.Name() == "" {
			return s.fields(t)
		}
		name, of, generic := strings.Cut(strings.ToUpper(t.Name()[:1])+t.Name()[1:], "[")
		if generic {
			name += "Of" + strings.TrimSuffix(of[strings.LastIndex(of, ".")+1:], "]")
		}
		if _, done := s.named[name]; !done {
			s.named[name] = nil // for types that contain themselves
			s.named[name] = s.fields(t)
		}
		return object{"$ref": "#/components/schemas/" + name}
	}
	s.t.Fatalf("%v has no schema", t)
	return nil
}

// fields describes a struct as encoding/json writes it.
func (s *schemas) fields(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || field.Anonymous || name == "-" {
			continue
		}
		if name == "" {
			s.t.Errorf("%v.%s has no name in JSON", t, field.Name)
			continue
		}
		schema := s.of(field.Type)
		if comment := s.comment(ownerOf(t, field), field.Name); comment != "" {
			schema["description"] = comment
		}
		properties[name] = schema
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	schema := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	if s.strict {
		schema["additionalProperties"] = false
	}
	return schema
}

// ownerOf is the struct that has a field itself.
func ownerOf(t reflect.Type, field reflect.StructField) reflect.Type {
	for _, i := range field.Index[:len(field.Index)-1] {
		t = t.Field(i).Type
	}
	return t
}

// comment is what stands behind a field in the source.
func (s *schemas) comment(t reflect.Type, field string) string {
	folder := strings.TrimPrefix(t.PkgPath(), "apquic/")
	if s.comments[folder] == nil {
		s.comments[folder] = commentsIn(s.t, filepath.Join("..", folder))
	}
	return s.comments[folder][t.Name()+"."+field]
}

func commentsIn(t *testing.T, folder string) map[string]string {
	found := make(map[string]string)
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if fields, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range fields.Fields.List {
					for _, name := range field.Names {
						found[spec.Name.Name+"."+name.Name] = strings.TrimSpace(strings.ReplaceAll(field.Doc.Text()+field.Comment.Text(), "\n", " "))
					}
				}
			}
			return true
		})
	}
	return found
}
