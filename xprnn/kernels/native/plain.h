// The kernel for what every machine of this kind has: NEON on ARM, SSE2 on x86. In the precision REAL, by the name of
// KERNELS.
#include "interface.h"

#define VECTOR_BYTES 16
#if defined(__aarch64__)
#define TILE_ROWS 12  // of 32 registers
#else
#define TILE_ROWS 6  // of 16
#endif
#include "kernels.h"

const native::Kernels<REAL> native::KERNELS = kernels<REAL>;
