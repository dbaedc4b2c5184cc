#define FCN_KERNELS kAvx2
#define FCN_NAME "avx2"
#include "kernels.inc"
