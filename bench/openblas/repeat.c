/* OpenBLAS's sgemm as often as asked for, for bench/pytorch/openblas.py. */
#include <cblas.h>

/* y = a·w, calls times: a is (rows, depth), w (depth, cols), y (rows, cols), all contiguous. */
void repeat_sgemm(int calls, float *y, const float *a, const float *w, int rows, int cols, int depth) {
	while (calls-- > 0)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, cols, depth, 1, a, depth, w, cols, 0, y, cols);
}

/* The kernels that OpenBLAS has chosen. */
const char *kernels(void) { return openblas_get_corename(); }
