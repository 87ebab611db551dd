// Runs the shared vectors (`vectors FILE`) or a small app (`app`) on examples/adapters/go.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"sessiongate"
)

type vectorFile struct {
	Audience   string
	Secrets    map[string]string
	Assertions []struct{ ID, Token string }
	Patches    []struct {
		ID            string
		Before, After map[string]any
		Cleared       bool
	}
}

func main() {
	if os.Args[1] == "vectors" {
		runVectors(os.Args[2])
		return
	}
	runApp()
}

func runVectors(file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var vectors vectorFile
	if err := decoder.Decode(&vectors); err != nil {
		log.Fatal(err)
	}
	assertions, patches := map[string]any{}, map[string]any{}
	for _, vector := range vectors.Assertions {
		claims, err := sessiongate.VerifyHS256(vector.Token, vectors.Secrets, vectors.Audience)
		if err != nil {
			assertions[vector.ID] = map[string]any{"ok": false}
			continue
		}
		assertions[vector.ID] = map[string]any{"ok": true, "data": claims.Data}
	}
	for _, vector := range vectors.Patches {
		patch, control := sessiongate.Difference(vector.Before, vector.After, vector.Cleared)
		output := map[string]any{"patch": nil, "control": append([]string{}, control...)}
		if patch != nil {
			output["patch"] = sessiongate.Text(patch)
		}
		patches[vector.ID] = output
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"assertions": assertions, "patches": patches})
}

func runApp() {
	gate := sessiongate.Gate{Secrets: map[string]string{"a1": os.Getenv("ASSERTION_SECRET")}, Audience: "app"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /session", func(w http.ResponseWriter, r *http.Request) {
		session := sessiongate.From(r)
		if session == nil {
			http.Error(w, "no session", http.StatusForbidden)
			return
		}
		json.NewEncoder(w).Encode(session.Data())
	})
	change := func(path string, action func(session *sessiongate.Session, r *http.Request)) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			action(sessiongate.From(r), r)
			fmt.Fprint(w, "ok")
		})
	}
	change("/set", func(session *sessiongate.Session, r *http.Request) {
		session.Set(r.URL.Query().Get("name"), json.RawMessage(r.URL.Query().Get("value")))
	})
	change("/drop", func(session *sessiongate.Session, r *http.Request) { session.Delete(r.URL.Query().Get("name")) })
	change("/visit", func(session *sessiongate.Session, _ *http.Request) {
		var user struct {
			ID     string `json:"id"`
			Visits int    `json:"visits"`
		}
		session.Decode("user", &user)
		user.Visits++
		session.Set("user", user)
	})
	change("/login", func(session *sessiongate.Session, r *http.Request) {
		session.Rotate()
		session.Set("user", map[string]any{"id": r.URL.Query().Get("user"), "visits": 0})
	})
	change("/remember", func(session *sessiongate.Session, _ *http.Request) { session.SetPermanent(true) })
	change("/restart", func(session *sessiongate.Session, _ *http.Request) {
		session.Destroy()
		session.Set("fresh", true)
	})
	change("/logout", func(session *sessiongate.Session, _ *http.Request) { session.Destroy() })

	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, gate.Handler(mux)))
}
