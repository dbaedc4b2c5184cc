// The shape of a 2-d convolution. It decides which code computes it.
#pragma once

#include <array>
#include <cstddef>

namespace fcn {

// A convolution from `c` channels of h×w to `k` channels of oh×ow; its weights are
// k × c/group × kh × kw. A deconvolution has the geometry of the convolution whose backward pass it
// is.
struct Geometry {
  int n, c, h, w;
  int k, oh, ow;
  int kh, kw, sh, sw, ph, pw, dh, dw, group;

  std::array<int, 16> key() const {
    return {n, c, h, w, k, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw, group};
  }

  size_t src_count() const { return size_t(n) * c * h * w; }
  size_t dst_count() const { return size_t(n) * k * oh * ow; }
  size_t weight_count() const { return size_t(k) * (c / group) * kh * kw; }
  // The rows of the matrix that im2col would make from one group.
  size_t patch() const { return size_t(c / group) * kh * kw; }
  double products() const { return double(dst_count()) * patch(); }
  bool pointwise() const { return kh == 1 && kw == 1 && sh == 1 && sw == 1 && ph == 0 && pw == 0; }
};

}  // namespace fcn
