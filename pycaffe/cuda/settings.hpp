// What the environment sets for the GPU path, read once.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace pycaffe {

// CAFFE_TF32=1 lets convolutions and matrix products round their factors to TF32, with 10 bits of
// mantissa.
inline bool tf32() {
  static const char* requested = std::getenv("CAFFE_TF32");
  return requested && std::strcmp(requested, "1") == 0;
}

// The maximum workspace of one cuDNN call, in bytes. Caffe runs up to three calls for each group at
// the same time. Winograd's gradients by VGG-16's weights want 274 MB at 500×500, and are six times
// as fast as what fits less.
inline std::size_t workspace_limit() {
  static const char* requested = std::getenv("CAFFE_WORKSPACE_MIB");
  return (requested && std::atol(requested) > 0 ? std::atol(requested) : 512L) << 20;
}

}  // namespace pycaffe
