#define FCN_KERNELS kAvx512
#define FCN_NAME "avx512"
#include "kernels.inc"
