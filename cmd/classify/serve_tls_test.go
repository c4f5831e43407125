package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writeCertificate writes a certificate for localhost with its key.
func writeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// shownSerial returns the serial number of the certificate that a client of TLS is shown.
func shownSerial(t *testing.T, c *certificate) int64 {
	t.Helper()
	near, far := net.Pipe()
	server := tls.Server(far, c.config())
	defer server.Close()
	go func() { _ = server.Handshake() }()
	client := tls.Client(near, &tls.Config{InsecureSkipVerify: true})
	defer client.Close()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	return client.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestCertificateIsReadAgain replaces the files of a certificate, by another and by one that is none.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	c := &certificate{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	for serial := range int64(2) {
		writeCertificate(t, c.cert, c.key, 7+serial)
		if err := c.load(); err != nil {
			t.Fatal(err)
		}
		expect(t, "serial number", shownSerial(t, c), 7+serial)
	}
	if err := os.WriteFile(c.key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.load(); err == nil {
		t.Error("a file that has no key was read")
	}
	expect(t, "serial number after a failure", shownSerial(t, c), 8)
}
