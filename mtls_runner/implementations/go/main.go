// An HTTPS server and client of Go's own net/http, told by a file what to do. It prints what it sees, a fact a line.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Settings are what both ends have; the file is written by the lab.
type Settings struct {
	Address     string            `json:"address"`
	Certificate string            `json:"certificate"`
	Key         string            `json:"key"`
	Trust       string            `json:"trust"`
	ClientAuth  string            `json:"client_auth"`
	TLSMin      string            `json:"tls_min"`
	TLSMax      string            `json:"tls_max"`
	Groups      []string          `json:"groups"`
	ALPN        []string          `json:"alpn"`
	NoTickets   bool              `json:"no_tickets"`
	Responses   []Response        `json:"responses"`
	ServerName  string            `json:"server_name"`
	Insecure    bool              `json:"insecure"`
	Method      string            `json:"method"`
	URL         string            `json:"url"`
	Headers     [][2]string       `json:"headers"`
	BodyFile    string            `json:"body_file"`
	Timeout     float64           `json:"timeout"`
	Names       []string          `json:"names"`
	Reject      bool              `json:"reject_handshake"`
	Hosts       []Settings        `json:"hosts"` // the last one is for every other name
}

// Response is what the server answers on one path; an empty path is every other.
type Response struct {
	Path        string      `json:"path"`
	Status      int         `json:"status"`
	Headers     [][2]string `json:"headers"`
	ContentType string      `json:"content_type"`
	BodyFile    string      `json:"body_file"`
}

var versions = map[string]uint16{
	"TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13,
}

var modes = map[string]tls.ClientAuthType{
	"none":           tls.NoClientCert,
	"optional":       tls.VerifyClientCertIfGiven,
	"optional_no_ca": tls.RequestClientCert,
	"required":       tls.RequireAndVerifyClientCert,
}

var groups = map[string]tls.CurveID{
	"X25519": tls.X25519, "x25519": tls.X25519, "P-256": tls.CurveP256, "prime256v1": tls.CurveP256, "secp256r1": tls.CurveP256,
	"P-384": tls.CurveP384, "secp384r1": tls.CurveP384, "P-521": tls.CurveP521, "secp521r1": tls.CurveP521,
	"X25519MLKEM768": 4588, // since Go 1.24; the program is built with older ones, too
}

func main() {
	settings, err := read(os.Args[2])
	if err == nil && os.Args[1] == "serve" {
		err = serve(settings)
	} else if err == nil {
		err = get(settings)
	}
	if err != nil {
		fmt.Printf("error %v\n", err)
		os.Exit(1)
	}
}

func read(path string) (Settings, error) {
	var settings Settings
	content, err := os.ReadFile(path)
	if err != nil {
		return settings, err
	}
	return settings, json.Unmarshal(content, &settings)
}

// pool never is nil: that would be the system's.
func pool(path string) (*x509.CertPool, error) {
	trusted := x509.NewCertPool()
	if path == "" {
		return trusted, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if !trusted.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s: no certificate in it", path)
	}
	return trusted, nil
}

func common(settings Settings) *tls.Config {
	config := &tls.Config{MinVersion: versions[settings.TLSMin], MaxVersion: versions[settings.TLSMax]}
	config.SessionTicketsDisabled = settings.NoTickets
	for _, name := range settings.Groups {
		config.CurvePreferences = append(config.CurvePreferences, groups[name])
	}
	config.NextProtos = settings.ALPN
	return config
}

func serverConfig(settings Settings) (*tls.Config, error) {
	config := common(settings)
	if len(config.NextProtos) == 0 { // what ServeTLS adds to the configuration that it makes of its own
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	if settings.Reject { // without a certificate, crypto/tls sends unrecognized_name
		return config, nil
	}
	certificate, err := tls.LoadX509KeyPair(settings.Certificate, settings.Key)
	if err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{certificate}
	config.ClientAuth = modes[settings.ClientAuth]
	config.ClientCAs, err = pool(settings.Trust)
	if settings.ClientAuth == "optional_no_ca" {
		config.VerifyConnection = func(state tls.ConnectionState) error {
			var nowhere x509.UnknownAuthorityError
			if err := verified(state, config.ClientCAs); !errors.As(err, &nowhere) {
				return err
			}
			return nil
		}
	}
	return config, err
}

// verified looks at a client's certificate as crypto/tls would where the mode is to verify it.
func verified(state tls.ConnectionState, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	between := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		between.AddCert(certificate)
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: usages})
	return err
}

// A host is what some names are served with.
type host struct {
	names  []string
	config *tls.Config
}

func hosts(settings Settings) ([]host, error) {
	var made []host
	for _, one := range settings.Hosts {
		config, err := serverConfig(one)
		if err != nil {
			return nil, err
		}
		made = append(made, host{one.Names, config})
	}
	return made, nil
}

// chosen prefers a name to a wildcard, and takes the last host for every other name.
func chosen(known []host, name string) *tls.Config {
	name = strings.ToLower(name)
	_, parent, _ := strings.Cut(name, ".")
	for _, wanted := range []string{name, "*." + parent} {
		for _, one := range known {
			for _, known := range one.names {
				if known == wanted {
					return one.config
				}
			}
		}
	}
	return known[len(known)-1].config
}

func serve(settings Settings) error {
	first, err := hosts(settings)
	if err != nil {
		return err
	}
	var current atomic.Pointer[[]host]
	current.Store(&first)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		for range hangup {
			changed, err := read(os.Args[2])
			var next []host
			if err == nil {
				next, err = hosts(changed)
			}
			if err != nil {
				fmt.Printf("reload failed: %v\n", err)
				continue
			}
			current.Store(&next)
			fmt.Println("reload done")
		}
	}()
	outer := first[len(first)-1].config.Clone()
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return chosen(*current.Load(), hello.ServerName), nil
	}
	if len(outer.Certificates) == 0 { // ServeTLS wants one
		outer.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("no such name") }
	}
	server := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer(settings, chosen(*current.Load(), r.TLS.ServerName).ClientCAs, w, r)
		}),
		TLSConfig: outer,
		ErrorLog:  log.New(os.Stdout, "", 0),
	}
	listener, err := net.Listen("tcp", settings.Address)
	if err != nil {
		return err
	}
	return server.ServeTLS(listener, "", "")
}

func answer(settings Settings, roots *x509.CertPool, w http.ResponseWriter, r *http.Request) {
	state := r.TLS
	verify, certificate := "NONE", ""
	if len(state.PeerCertificates) > 0 {
		verify = "FAILED"
		certificate = base64.StdEncoding.EncodeToString(state.PeerCertificates[0].Raw)
		if verified(*state, roots) == nil {
			verify = "SUCCESS"
		}
	}
	fmt.Printf("answered %s: request=<%s %s> tls=<%s> cipher=<%s> resumed=%d client_verify=%s certificate=<%s> sni=<%s>\n",
		r.RemoteAddr, r.Method, r.URL.RequestURI(), versionName(state.Version), tls.CipherSuiteName(state.CipherSuite),
		map[bool]int{false: 0, true: 1}[state.DidResume], verify, certificate, state.ServerName)
	for _, response := range settings.Responses {
		if response.Path != "" && response.Path != r.URL.Path {
			continue
		}
		for _, header := range response.Headers {
			w.Header().Add(header[0], header[1])
		}
		w.Header().Set("Content-Type", response.ContentType)
		var body []byte
		if response.BodyFile != "" {
			body, _ = os.ReadFile(response.BodyFile)
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.WriteHeader(response.Status)
		w.Write(body)
		return
	}
}

func versionName(version uint16) string {
	for name, number := range versions {
		if number == version {
			return name
		}
	}
	return fmt.Sprintf("0x%04x", version)
}

func encoded(certificate []byte) string { return base64.StdEncoding.EncodeToString(certificate) }

func get(settings Settings) error {
	config := common(settings)
	config.ServerName = settings.ServerName
	config.InsecureSkipVerify = settings.Insecure
	var err error
	if config.RootCAs, err = pool(settings.Trust); err != nil {
		return fmt.Errorf("own: %w", err)
	}
	var own []tls.Certificate
	if settings.Certificate != "" {
		certificate, err := tls.LoadX509KeyPair(settings.Certificate, settings.Key)
		if err != nil {
			return fmt.Errorf("own: %w", err)
		}
		own = append(own, certificate)
	}
	// The same choice that crypto/tls makes of Config.Certificates, told.
	config.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		fmt.Println("asked yes")
		for _, name := range request.AcceptableCAs {
			fmt.Printf("acceptable %s\n", encoded(name))
		}
		for index := range own {
			if err := request.SupportsCertificate(&own[index]); err != nil {
				fmt.Printf("withheld %v\n", err)
				continue
			}
			for _, part := range own[index].Certificate {
				fmt.Printf("sent %s\n", encoded(part))
			}
			return &own[index], nil
		}
		return new(tls.Certificate), nil
	}
	transport := &http.Transport{
		TLSClientConfig:    config,
		DisableCompression: true,
		DisableKeepAlives:  true,
		ForceAttemptHTTP2:  contains(settings.ALPN, "h2"),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", settings.Address)
			if err == nil {
				fmt.Printf("local %d\n", connection.LocalAddr().(*net.TCPAddr).Port)
			}
			return connection, err
		},
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		for _, certificate := range state.PeerCertificates {
			fmt.Printf("peer %s\n", encoded(certificate.Raw))
		}
		fmt.Printf("handshake tls=<%s> cipher=<%s> alpn=<%s>\n", versionName(state.Version), tls.CipherSuiteName(state.CipherSuite),
			state.NegotiatedProtocol)
		return nil
	}
	client := &http.Client{
		Transport:     transport,
		Timeout:       time.Duration(settings.Timeout * float64(time.Second)),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var body []byte
	if settings.BodyFile != "" {
		if body, err = os.ReadFile(settings.BodyFile); err != nil {
			return err
		}
	}
	request, err := http.NewRequest(settings.Method, settings.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for _, header := range settings.Headers {
		if header[0] == "Host" || header[0] == "host" {
			request.Host = header[1]
			continue
		}
		request.Header.Add(header[0], header[1])
	}
	response, err := client.Do(request)
	if err != nil {
		var unverified *tls.CertificateVerificationError
		if errors.As(err, &unverified) {
			for _, certificate := range unverified.UnverifiedCertificates {
				fmt.Printf("peer %s\n", encoded(certificate.Raw))
			}
		}
		return err
	}
	defer response.Body.Close()
	fmt.Printf("status %d\n", response.StatusCode)
	for name, values := range response.Header {
		for _, value := range values {
			fmt.Printf("header %s: %s\n", name, value)
		}
	}
	content, err := io.ReadAll(response.Body)
	fmt.Printf("body %s\n", encoded(content))
	if err == nil {
		fmt.Println("done")
	}
	return err
}

func contains(names []string, wanted string) bool {
	for _, name := range names {
		if name == wanted {
			return true
		}
	}
	return false
}
