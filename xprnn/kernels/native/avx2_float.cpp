#define REAL float
#define KERNELS avx2_float
#include "avx2.h"
