// Package training fits polynet networks to datasets: the loop over epochs, checkpoints, evaluation.
package training
