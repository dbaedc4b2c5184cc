// What the environment asks of the GPU path, read once.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace pycaffe {

// CAFFE_TF32=1 lets convolutions and matrix products round their factors to TF32, with 10 bits of
// mantissa.
inline bool tf32() {
  static const char* asked = std::getenv("CAFFE_TF32");
  return asked && std::strcmp(asked, "1") == 0;
}

// The largest workspace of one cuDNN call, in bytes. Caffe runs up to three calls a group at a
// time.
inline std::size_t workspace_limit() {
  static const char* asked = std::getenv("CAFFE_WORKSPACE_MIB");
  return (asked && std::atol(asked) > 0 ? std::atol(asked) : 256L) << 20;
}

}  // namespace pycaffe
