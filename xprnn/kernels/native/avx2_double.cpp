#define REAL double
#define KERNELS avx2_double
#include "avx2.h"
