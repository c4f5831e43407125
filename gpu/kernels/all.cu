// All kernels, as one module.
#include "hadamard.cu"
#include "logmel.cu"
#include "loss.cu"
#include "norm.cu"
#include "optimizer.cu"
#include "pool.cu"
#include "product.cu"
#include "rows.cu"
