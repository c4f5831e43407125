package main

import (
	"crypto/tls"
	"sync/atomic"
)

// certificate is that of HTTPS, which can be read again while connections go on: certificates last for months, some
// for days, and services for longer.
type certificate struct {
	cert, key string // files
	current   atomic.Pointer[tls.Certificate]
}

// load reads the files. Where they are none, an error is returned and the certificate stays as it was.
func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err == nil {
		c.current.Store(&pair)
	}
	return err
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}
