#define FCN_KERNELS kBaseline
#define FCN_NAME "baseline"
#include "kernels.inc"
