#define REAL double
#define KERNELS plain_double
#include "plain.h"
