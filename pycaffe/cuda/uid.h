// Force-included before _caffe.cpp, which turns NCCL's identifier into bytes by
// PyBytes_FromString: that ends at the first of its 128 bytes to be 0. It calls
// that function for nothing else.
#pragma once

#include <Python.h>
#include <nccl.h>

#define PyBytes_FromString(text) PyBytes_FromStringAndSize(text, NCCL_UNIQUE_ID_BYTES)
