// What the table in kernels.cpp is made of: the conditions and the constructors of the kernels.
#pragma once

#include <memory>

#include "dnnl_api.hpp"
#include "kernels.hpp"

namespace fcn {

// diagonal.cpp. For weights of k = c channels, one group, that are zero except where both channels
// are the same. Every weight is looked at.
bool is_diagonal(const Geometry& shape, const float* weights);
std::unique_ptr<Convolver> diagonal_convolver(const Geometry& shape);

// banded.cpp, by oneDNN. Throws dnnl::error where oneDNN has no fast code for the shape.
std::unique_ptr<Convolver> direct_convolver(const Geometry& shape, Tag blocked);

// ../winograd/convolver.cpp. For square kernels of 3×3 to 7×7 at stride 1 where there are channels
// enough to be worth the transforms.
bool suits_winograd(const Geometry& shape, const float* weights);
std::unique_ptr<Convolver> winograd_convolver(const Geometry& shape);

// gemm.cpp. For every shape.
std::unique_ptr<Convolver> gemm_convolver(const Geometry& shape);

}  // namespace fcn
