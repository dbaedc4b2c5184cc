// How one convolution is computed, forward and backward, on plain N×C×H×W float32.
#pragma once

#include <memory>

#include "geometry.hpp"

namespace fcn {

// Holds nothing that depends on the weights, so a change of them, by whatever way,
// needs no notice. Calls share a workspace: one at a time in each thread.
class Convolver {
 public:
  virtual ~Convolver() = default;
  // Writes dst; `bias` has k floats, or is null.
  virtual void forward(const float* src, const float* weights, const float* bias, float* dst) = 0;
  // Writes dsrc, the gradient by src.
  virtual void backward_data(const float* ddst, const float* weights, float* dsrc) = 0;
  // Adds the gradient by the weights to dweights.
  virtual void backward_weights(const float* src, const float* ddst, float* dweights) = 0;
};

// The fastest that can do this shape. The last few hundred are kept.
std::shared_ptr<Convolver> convolver(const Geometry& shape);

// Each of the ways. The first returns null where oneDNN has no fast code for the shape.
std::unique_ptr<Convolver> primitive_convolver(const Geometry& shape);
std::unique_ptr<Convolver> gemm_convolver(const Geometry& shape);
// For weights of k = c channels, one group, that are zero but where both channels are the same.
std::unique_ptr<Convolver> diagonal_convolver(const Geometry& shape);

// Whether `weights` are of the last kind, judged by every one of them.
bool is_diagonal(const Geometry& shape, const float* weights);

// Adds bias[c] to each of n × channels planes, or the planes' sums to dbias.
void add_bias(int n, int channels, size_t plane, const float* bias, float* data);
void add_sums(int n, int channels, size_t plane, const float* diff, float* dbias);

}  // namespace fcn
