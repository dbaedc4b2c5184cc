// Force-included before _caffe.cpp, which turns NCCL's identifier into bytes by PyBytes_FromString.
// That stops at the first of its 128 bytes that is 0. _caffe.cpp calls that function for nothing
// else.
#pragma once

#include <Python.h>
#include <nccl.h>

#define PyBytes_FromString(text) PyBytes_FromStringAndSize(text, NCCL_UNIQUE_ID_BYTES)
