// A matrix product as one writes it in C, for a compiler to vectorise: product ROWS DEPTH COLUMNS. After each of a few
// products it prints a value.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void product(float *restrict c, const float *restrict a, const float *restrict b, int rows, int depth,
                    int columns) {
	memset(c, 0, sizeof *c * rows * columns);
	for (int r = 0; r < rows; r++)
		for (int k = 0; k < depth; k++)
			for (int j = 0; j < columns; j++)
				c[r * columns + j] += a[r * depth + k] * b[k * columns + j];
}

static float *values(int n) {
	float *x = malloc(n * sizeof *x);
	for (int i = 0; i < n; i++)
		x[i] = (float)(i % 17) / 17;
	return x;
}

int main(int argc, char **argv) {
	if (argc != 4)
		return 2;
	int rows = atoi(argv[1]), depth = atoi(argv[2]), columns = atoi(argv[3]);
	float *a = values(rows * depth), *b = values(depth * columns), *c = values(rows * columns);
	for (int i = 0; i < 4; i++) {
		product(c, a, b, rows, depth, columns);
		dprintf(1, "%g\n", c[rows * columns - 1]);
	}
	return 0;
}
