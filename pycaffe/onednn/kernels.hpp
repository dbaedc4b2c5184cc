// How one 2-d convolution is computed, forward and backward, on plain N×C×H×W float32: the kernels,
// and the table that says which of them a shape gets.
#pragma once

#include <memory>
#include <string>

#include "geometry.hpp"

namespace fcn {

enum class Pass { kForward, kBackwardData, kBackwardWeights };

// Holds nothing that depends on the weights, so a change of them, made in whatever way, needs no
// notice. Calls share a workspace: one at a time in each thread.
class Convolver {
 public:
  virtual ~Convolver() = default;
  // Writes dst; `bias` has k floats, or is null.
  virtual void forward(const float* src, const float* weights, const float* bias, float* dst) = 0;
  // Writes ReLU of that to dst and returns true, or does nothing and returns false where the kernel
  // has no such code.
  virtual bool forward_relu(const float*, const float*, const float*, float*) { return false; }
  // Writes dsrc, the gradient with respect to src.
  virtual void backward_data(const float* ddst, const float* weights, float* dsrc) = 0;
  // Adds the gradient with respect to the weights to dweights.
  virtual void backward_weights(const float* src, const float* ddst, float* dweights) = 0;
  // What computed a pass, more exactly than the kernel's name says it; for the log, after the pass.
  virtual std::string implementation(Pass) const { return ""; }
};

// A row of the table in kernels.cpp.
struct Kernel {
  const char* name;
  // `weights` are those of a Deconvolution layer, or null.
  bool (*applies)(const Geometry& shape, const float* weights);
  // Throws dnnl::error where oneDNN has no fast code for the forward pass of this shape.
  std::unique_ptr<Convolver> (*make)(const Geometry& shape);
};

// The kernel that computes a shape.
struct ChosenKernel {
  const char* name;
  std::shared_ptr<Convolver> convolver;

  Convolver* operator->() const { return convolver.get(); }
  std::string describe(Pass pass) const;
};

// Returns the first kernel of the table that can compute this shape. A Deconvolution gives its
// weights, because upsampling has a kernel of its own. The last few hundred kernels are cached.
ChosenKernel kernel_for(const Geometry& shape, const float* deconvolution_weights = nullptr);

// Adds bias[c] to each of n × channels planes.
void add_bias(int n, int channels, size_t plane, const float* bias, float* data);
// Adds the sums of the planes of each channel to dbias.
void add_sums(int n, int channels, size_t plane, const float* diff, float* dbias);

}  // namespace fcn
