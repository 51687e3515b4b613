// Asks Go's crypto/x509 for a verdict on chains of certificates. Each line of standard input is a question in JSON; each line of
// standard output is its answer: "ok", or why not.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
)

// A question: certificates in DER, as they were sent; a file of PEM; the purpose; the name, or nothing for none.
type question struct {
	Chain  [][]byte `json:"chain"`
	Trust  string   `json:"trust"`
	Client bool     `json:"client"`
	Name   string   `json:"name"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if err := verify(asked); err != nil {
			fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("ok")
		}
	}
}

func verify(asked question) error {
	roots, err := pool(asked.Trust)
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	var leaf *x509.Certificate
	for number, der := range asked.Chain {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		if number == 0 {
			leaf = certificate
		} else {
			between.AddCert(certificate)
		}
	}
	usage := x509.ExtKeyUsageServerAuth
	if asked.Client {
		usage = x509.ExtKeyUsageClientAuth
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
		return err
	}
	if asked.Name != "" {
		return leaf.VerifyHostname(asked.Name)
	}
	return nil
}

// As net/http's programs load it: what Go can't parse is no anchor.
func pool(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found := x509.NewCertPool()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			found.AddCert(certificate)
		}
	}
	return found, nil
}
