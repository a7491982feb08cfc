#define REAL float
#define KERNELS avx512_float
#include "avx512.h"
