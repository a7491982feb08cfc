#define REAL float
#define KERNELS plain_float
#include "plain.h"
