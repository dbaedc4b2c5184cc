// A convolution of some rows of an image, by oneDNN.
#pragma once

#include <array>
#include <memory>

#include "dnnl_api.hpp"
#include "kernels.hpp"

namespace fcn {

// Some rows of an image, and the rows that a convolution computes from them.
struct Band {
  int src_first, src_rows, dst_first, dst_rows;
  int above, below;  // rows of padding
  // Of src_rows, those whose gradients need no other rows of the output.
  int exact_first, exact_rows;

  std::array<int, 6> shape() const {
    return {src_rows, dst_rows, above, below, exact_first, exact_rows};
  }
};

// The pointers that it takes are to the band's first rows, in blobs of the whole image.
class BandConvolver : public Convolver {
 public:
  // Bytes of the shared workspace that the forward pass needs.
  virtual size_t workspace_bytes() const = 0;
  // Throws dnnl::error where oneDNN cannot do the backward passes of this band.
  virtual void check_backward() const = 0;
};

// Throws dnnl::error where oneDNN has no fast code for the forward pass. Where it has none for a
// backward pass, that of the whole image is computed by a product of matrices.
std::unique_ptr<BandConvolver> band_convolver(const Geometry& shape, const Band& band,
                                              Tag blocked);

}  // namespace fcn
