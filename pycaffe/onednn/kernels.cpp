#include "kernels.hpp"

#include <omp.h>

#include <list>
#include <map>

#include "../context.hpp"
#include "convolvers.hpp"

namespace fcn {

namespace {

bool is_pointwise(const Geometry& g, const float*) { return g.pointwise(); }

// Gathering the patches of few channels costs less than reordering what oneDNN's own code reads
// and writes.
bool has_few_channels(const Geometry& g, const float*) { return g.c / g.group < 8; }

// The weights outweigh the images (fc6), and a product of matrices uses them where they lie.
bool has_large_weights(const Geometry& g, const float*) {
  return g.weight_count() > 4 * (g.src_count() + g.dst_count());
}

bool is_any(const Geometry&, const float*) { return true; }

template <Tag blocked>
std::unique_ptr<Convolver> blocked_convolver(const Geometry& g) {
  return direct_convolver(g, blocked);
}

// In order of preference: the first that applies and can be made computes the shape.
const Kernel kKernels[] = {
    {"diagonal", is_diagonal, diagonal_convolver},
    {"gemm-pointwise", is_pointwise, gemm_convolver},
    {"winograd", suits_winograd, winograd_convolver},
    {"gemm-few-channels", has_few_channels, gemm_convolver},
    {"gemm-large-weights", has_large_weights, gemm_convolver},
    {"onednn-direct16", is_any, blocked_convolver<Tag::nChw16c>},
    {"onednn-direct8", is_any, blocked_convolver<Tag::nChw8c>},
    {"gemm", is_any, gemm_convolver},
};

const Kernel* first_that_applies(const Kernel* kernel, const Geometry& g, const float* weights) {
  while (!kernel->applies(g, weights)) ++kernel;
  return kernel;
}

ChosenKernel make(const Kernel* kernel, const Geometry& g, const float* weights) {
  for (;; ++kernel) {
    kernel = first_that_applies(kernel, g, weights);
    try {
      return {kernel->name, kernel->make(g)};
    } catch (const dnnl::error&) {  // Not with this instruction set, or this version.
    }
  }
}

// The shape, the first row of the table that applies, and the threads, which oneDNN plans for.
using Key = std::array<int, 18>;

Key key_of(const Geometry& g, const Kernel* kernel) {
  Key key;
  const auto shape = g.key();
  std::copy(shape.begin(), shape.end(), key.begin());
  key[16] = int(kernel - kKernels);
  key[17] = omp_get_max_threads();
  return key;
}

constexpr size_t kMaxCached = 512;  // each is a few kilobytes of code and descriptors

// A context has one, because a convolver is not to be used by two threads at once.
struct Cache {
  struct Entry {
    ChosenKernel kernel;
    std::list<Key>::iterator use;
  };
  std::map<Key, Entry> entries;
  std::list<Key> uses;  // the latest first
};

}  // namespace

std::string ChosenKernel::describe(Pass pass) const {
  const std::string implementation = convolver->implementation(pass);
  return implementation.empty() ? name : name + (" (" + implementation + ")");
}

ChosenKernel kernel_for(const Geometry& shape, const float* deconvolution_weights) {
  auto& [entries, uses] = Context::current().get<Cache>();
  const Kernel* kernel = first_that_applies(kKernels, shape, deconvolution_weights);
  const Key key = key_of(shape, kernel);
  const auto cached = entries.find(key);
  if (cached != entries.end()) {
    uses.splice(uses.begin(), uses, cached->second.use);
    return cached->second.kernel;
  }
  const ChosenKernel result = make(kernel, shape, deconvolution_weights);
  uses.push_front(key);
  entries[key] = {result, uses.begin()};
  if (uses.size() > kMaxCached) {
    entries.erase(uses.back());
    uses.pop_back();
  }
  return result;
}

}  // namespace fcn
