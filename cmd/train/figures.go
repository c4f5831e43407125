package main

import (
	"math"
	"strconv"
)

// fixed formats a figure with as many decimals as its standard error leaves it, down to that error's first digit.
func fixed(v, standardError float64) string {
	if v-v != 0 {
		return "-"
	}
	decimals := 0
	if standardError > 0 {
		decimals = min(max(int(math.Ceil(-math.Log10(standardError))), 0), 6)
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// binomialError returns the standard error of a share of n, which is not 0 for shares of 0 and 1 either (Agresti and
// Coull, 1998).
func binomialError(share float64, n int) float64 {
	p := (share*float64(n) + 2) / float64(n+4)
	return math.Sqrt(p * (1 - p) / float64(n+4))
}

// percent formats a share of n clips, words or events, given in percent, without the sign.
func percent(v float64, n int) string { return fixed(v, 100*binomialError(v/100, n)) }

// share formats a share of n in [0, 1]; "-" where n is 0.
func share(v float64, n int) string {
	if n == 0 {
		return "-"
	}
	return fixed(v, binomialError(v, n))
}

// nats formats the mean loss of n clips. Losses of clips vary about as much as their mean is large.
func nats(v float64, n int) string { return fixed(v, math.Abs(v)/math.Sqrt(float64(max(n, 1)))) }

// perHour formats a rate of countable events in so many hours, whose error is at least that of a single one.
func perHour(v, hours float64) string { return fixed(v, 1/hours) }
