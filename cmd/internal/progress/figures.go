package progress

import (
	"math"
	"strconv"
	"strings"
)

// Figure returns a number with three significant digits, all digits of a larger integer, and no zeros behind a point.
func Figure(v float64) string {
	decimals := 0
	if v != 0 {
		decimals = max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if decimals > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// Duration returns a time in the unit that suits it: milliseconds, seconds, minutes or hours.
func Duration(seconds float64) string {
	const minute, hour = 60, 3600
	switch {
	case seconds > 0 && seconds < 0.1:
		return Figure(1000*seconds) + " ms"
	case seconds < 2*minute:
		return Figure(seconds) + " s"
	case seconds < 2*hour:
		return Figure(seconds/minute) + " min"
	}
	return Figure(seconds/hour) + " h"
}
