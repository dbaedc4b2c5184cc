// Force-included before every source of Caffe, so that it compiles unedited with today's libraries.
// Each entry says what changed.
#pragma once

// net.cpp calls HDF5 but reaches its header only through one that no longer
// includes it.
#include <hdf5.h>

#ifdef __cplusplus
#include <google/protobuf/io/coded_stream.h>

// protobuf 3.6 dropped the second argument (the size to warn at) of
// CodedInputStream::SetTotalBytesLimit. The name inside its own expansion is
// not expanded again, so this calls the function with the first argument.
#define SetTotalBytesLimit(limit, ...) SetTotalBytesLimit(limit)
#endif

#ifndef CPU_ONLY
#include "cuda/compat.h"
#endif
