#define REAL double
#define KERNELS avx512_double
#include "avx512.h"
