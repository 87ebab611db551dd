// Package sessiongate takes net/http sessions from the gateway. Copy this file into your project; it needs the standard library
// only (Go 1.22 or newer).
//
//	gate := sessiongate.Gate{Secrets: map[string]string{"a1": os.Getenv("ASSERTION_SECRET")}, Audience: "app"}
//	http.ListenAndServe(addr, gate.Handler(mux))
//
//	session := sessiongate.From(r) // nil when the request did not come through the gateway
//	session.Set("count", 1)
//
// The data arrives in X-Session-Assertion, and what differs when the head is sent leaves in X-Session-Patch. A change after the
// first byte of the body is lost, as with every session that travels in headers.
package sessiongate

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Gate is the middleware. Secrets: key id to secret, as in the gateway's keys.assertion. Audience: this upstream's name there.
// Prefix: the gateway's headerPrefix, "X-Session-" when empty. Verify: instead of Secrets and Audience, for keys that are not
// HS256 (see examples/verify/go). OnRefused, if set, learns why an assertion was refused.
type Gate struct {
	Secrets   map[string]string
	Audience  string
	Prefix    string
	Verify    func(token string) (*Claims, error)
	OnRefused func(r *http.Request, reason error)
}

// Claims is what the gateway vouches for.
type Claims struct {
	Audience  string         `json:"aud"`
	Expires   *float64       `json:"exp"`
	ID        string         `json:"sid"`
	Version   string         `json:"ver"`
	New       bool           `json:"new"`
	Permanent bool           `json:"permanent"`
	Data      map[string]any `json:"data"`
}

// ErrRefused wraps every reason not to believe an assertion.
var ErrRefused = errors.New("session assertion refused")

// Handler runs next with the request's session.
func (g Gate) Handler(next http.Handler) http.Handler {
	if g.Prefix == "" {
		g.Prefix = "X-Session-"
	}
	verify := g.Verify
	if verify == nil {
		verify = func(token string) (*Claims, error) { return VerifyHS256(token, g.Secrets, g.Audience) }
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens := r.Header.Values(g.Prefix + "Assertion")
		if len(tokens) != 1 {
			next.ServeHTTP(w, r)
			return
		}
		claims, err := verify(tokens[0])
		if err != nil {
			if g.OnRefused != nil {
				g.OnRefused(r, err)
			}
			next.ServeHTTP(w, r)
			return
		}
		session := &Session{claims: claims, data: clone(claims.Data)}
		head := &headWriter{ResponseWriter: w, session: session, prefix: g.Prefix}
		next.ServeHTTP(head, r.WithContext(context.WithValue(r.Context(), contextKey{}, session)))
		head.emit()
	})
}

type contextKey struct{}

// From is the session of a request, nil when it has none.
func From(r *http.Request) *Session {
	session, _ := r.Context().Value(contextKey{}).(*Session)
	return session
}

// Session is the session of one request. Values are what encoding/json makes of JSON: string, bool, nil, map[string]any,
// []any and json.Number. Its methods may be called from several goroutines; values got from it belong to one.
type Session struct {
	mutex            sync.Mutex
	claims           *Claims
	data             map[string]any
	cleared, rotated bool
	permanent        *bool
	idleSeconds      int
}

// ID is a public handle, not the cookie's value; empty while New.
func (s *Session) ID() string { return s.claims.ID }

// New is true while nothing is stored yet.
func (s *Session) New() bool { return s.claims.New }

// Get is the value of a member, nil when absent.
func (s *Session) Get(name string) any {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.data[name]
}

// Decode puts a member into target as json.Unmarshal does. False when it is absent or of another shape.
func (s *Session) Decode(name string, target any) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	value, ok := s.data[name]
	if !ok {
		return false
	}
	text, err := json.Marshal(value)
	return err == nil && json.Unmarshal(text, target) == nil
}

// Set gives a member a value that JSON can carry.
func (s *Session) Set(name string, value any) error {
	plain, err := plainOf(value)
	if err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.data[name] = plain
	return nil
}

// Delete removes a member.
func (s *Session) Delete(name string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.data, name)
}

// Data is a copy of everything.
func (s *Session) Data() map[string]any {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return clone(s.data)
}

// Destroy ends the session. What is set afterwards starts an empty one.
func (s *Session) Destroy() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.cleared, s.data = true, map[string]any{}
}

// Rotate keeps the data and asks for a new id; do it at login.
func (s *Session) Rotate() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.rotated = true
}

// SetPermanent says whether the cookie outlives the browser.
func (s *Session) SetPermanent(permanent bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.permanent = &permanent
}

// ShortenIdle ends the session after so long without use; never longer than the gateway is configured for.
func (s *Session) ShortenIdle(idle time.Duration) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.idleSeconds = max(1, int(idle.Seconds()))
}

func (s *Session) changes() (patch map[string]any, control []string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	patch, control = Difference(s.claims.Data, s.data, s.cleared)
	if len(control) == 1 && control[0] == "destroy" || len(s.claims.Data) == 0 && len(s.data) == 0 {
		return patch, control
	}
	if s.rotated {
		control = append(control, "rotate")
	}
	if s.permanent != nil && *s.permanent != s.claims.Permanent {
		control = append(control, map[bool]string{true: "permanent", false: "transient"}[*s.permanent])
	}
	if s.idleSeconds > 0 {
		control = append(control, fmt.Sprintf("idle=%d", s.idleSeconds))
	}
	return patch, control
}

// headWriter adds the session's headers just before the head leaves.
type headWriter struct {
	http.ResponseWriter
	session *Session
	prefix  string
	done    bool
}

func (h *headWriter) emit() {
	if h.done {
		return
	}
	h.done = true
	patch, control := h.session.changes()
	if patch != nil {
		h.Header().Set(h.prefix+"Patch", Text(patch))
	}
	if len(control) > 0 {
		h.Header().Set(h.prefix+"Control", strings.Join(control, ", "))
	}
}

func (h *headWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		h.emit()
	}
	h.ResponseWriter.WriteHeader(status)
}

func (h *headWriter) Write(body []byte) (int, error) {
	h.emit()
	return h.ResponseWriter.Write(body)
}

func (h *headWriter) Flush() {
	h.emit()
	if flusher, ok := h.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
}

// Unwrap lets http.ResponseController reach what is below, hijacking included.
func (h *headWriter) Unwrap() http.ResponseWriter { return h.ResponseWriter }

var segments = regexp.MustCompile(`^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$`)

// VerifyHS256 is the claims of a compact JWS, or an error that wraps ErrRefused unless it is HS256 by one of secrets (by key
// id), for audience, and not expired.
func VerifyHS256(token string, secrets map[string]string, audience string) (*Claims, error) {
	part := segments.FindStringSubmatch(token)
	if part == nil {
		return nil, fmt.Errorf("%w: form", ErrRefused)
	}
	var header map[string]any
	if err := decodeSegment(part[1], &header); err != nil {
		return nil, err
	}
	if _, critical := header["crit"]; critical || header["alg"] != "HS256" || header["typ"] != "session+jwt" {
		return nil, fmt.Errorf("%w: algorithm, type or critical header", ErrRefused)
	}
	kid, _ := header["kid"].(string)
	secret, known := secrets[kid]
	if !known {
		return nil, fmt.Errorf("%w: key", ErrRefused)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(part[1] + "." + part[2]))
	if !hmac.Equal([]byte(base64.RawURLEncoding.EncodeToString(mac.Sum(nil))), []byte(part[3])) {
		return nil, fmt.Errorf("%w: signature", ErrRefused)
	}
	return readClaims(part[2], audience)
}

// ClaimsFrom makes Claims of what a JWT library has verified; for Gate.Verify.
func ClaimsFrom(verified map[string]any) (*Claims, error) {
	text, err := json.Marshal(verified)
	if err != nil {
		return nil, err
	}
	var claims Claims
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&claims); err != nil {
		return nil, err
	}
	if claims.Data == nil {
		return nil, fmt.Errorf("%w: data", ErrRefused)
	}
	return &claims, nil
}

func readClaims(segment, audience string) (*Claims, error) {
	var claims Claims
	if err := decodeSegment(segment, &claims); err != nil {
		return nil, err
	}
	if claims.Audience != audience {
		return nil, fmt.Errorf("%w: audience", ErrRefused)
	}
	if claims.Expires == nil || *claims.Expires <= float64(time.Now().UnixMilli())/1000 {
		return nil, fmt.Errorf("%w: expired", ErrRefused)
	}
	if claims.Data == nil {
		return nil, fmt.Errorf("%w: data", ErrRefused)
	}
	return &claims, nil
}

func decodeSegment(segment string, target any) error {
	text, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return fmt.Errorf("%w: form", ErrRefused)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber() // numbers keep every digit
	if err := decoder.Decode(target); err != nil || decoder.More() {
		return fmt.Errorf("%w: form", ErrRefused)
	}
	return nil
}

// Difference is the patch (nil: none) and the directives by which the gateway turns before into after.
func Difference(before, after map[string]any, cleared bool) (patch map[string]any, control []string) {
	if cleared && len(before) > 0 {
		if len(after) == 0 {
			return nil, []string{"destroy"}
		}
		return after, []string{"replace"}
	}
	patch, ok := mergePatch(before, after)
	if !ok {
		return after, []string{"replace"}
	}
	if len(patch) == 0 {
		return nil, nil
	}
	return patch, nil
}

// mergePatch is false when a merge patch (RFC 7396) cannot say it: there is no way to set a member to null.
func mergePatch(before, after map[string]any) (map[string]any, bool) {
	patch := map[string]any{}
	for name := range before {
		if _, kept := after[name]; !kept {
			patch[name] = nil
		}
	}
	for name, value := range after {
		old, had := before[name]
		oldObject, oldIs := old.(map[string]any)
		object, is := value.(map[string]any)
		if oldIs && is {
			nested, ok := mergePatch(oldObject, object)
			if !ok {
				return nil, false
			}
			if len(nested) > 0 {
				patch[name] = nested
			}
		} else if !had || !reflect.DeepEqual(old, value) {
			if holdsNull(value) {
				return nil, false
			}
			patch[name] = value
		}
	}
	return patch, true
}

func holdsNull(value any) bool {
	object, is := value.(map[string]any)
	if !is {
		return value == nil
	}
	for _, member := range object {
		if holdsNull(member) {
			return true
		}
	}
	return false
}

// Text is JSON in printable ASCII, as a header can carry it.
func Text(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err) // not reached: every value went through plainOf
	}
	var text strings.Builder
	for _, unit := range string(raw) {
		switch {
		case unit >= ' ' && unit <= '~':
			text.WriteRune(unit)
		case unit > 0xffff:
			unit -= 0x10000
			fmt.Fprintf(&text, `\u%04x\u%04x`, 0xd800+unit>>10, 0xdc00+unit&0x3ff)
		default:
			fmt.Fprintf(&text, `\u%04x`, unit)
		}
	}
	return text.String()
}

// plainOf turns any value into what JSON makes of it, so that it can be compared with what came from the gateway.
func plainOf(value any) (any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var plain any
	err = decoder.Decode(&plain)
	return plain, err
}

func clone(data map[string]any) map[string]any {
	plain, err := plainOf(data)
	if err != nil {
		panic(err) // not reached: data is plain JSON
	}
	return plain.(map[string]any)
}
