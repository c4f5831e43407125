package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/polyphon/polyphon/internal/safe"
	"github.com/rivo/uniseg"
)

// table is text in columns, whose width is that on a terminal: letters of East Asian scripts take two cells, combining
// ones none.
type table struct {
	columns string // how each column is aligned, the last one standing for the others: l(eft), r(ight), d(ecimal point)
	rows    [][]string
}

// row adds a row of cells, as they are shown on a terminal.
func (t *table) row(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = safe.Text(cell)
	}
	t.rows = append(t.rows, row)
}

// write writes the rows, with two spaces between columns.
func (t *table) write(w io.Writer) error {
	var widths, decimals []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths, decimals = append(widths, 0), append(decimals, 0)
			}
			decimals[i] = max(decimals[i], places(cell))
		}
	}
	for k, row := range t.rows {
		for i, cell := range row {
			if n := decimals[i] - places(cell); t.align(i) == 'd' && n > 0 && k > 0 {
				t.rows[k][i] = cell + strings.Repeat(" ", n)
			}
			widths[i] = max(widths[i], uniseg.StringWidth(row[i]))
		}
	}
	var text strings.Builder
	for _, row := range t.rows {
		line := ""
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-uniseg.StringWidth(cell))
			if t.align(i) == 'l' {
				line += cell + gap + "  "
			} else {
				line += gap + cell + "  "
			}
		}
		text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := fmt.Fprint(w, text.String())
	return err
}

func (t *table) align(column int) byte { return t.columns[min(column, len(t.columns)-1)] }

// places returns how many characters of a number begin at its decimal point.
func places(cell string) int {
	if at := strings.LastIndexByte(cell, '.'); at >= 0 {
		return len(cell) - at
	}
	return 0
}
