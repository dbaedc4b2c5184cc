// Puts our layers in the place of Caffe's on the CPU. CAFFE_CPU=stock in the environment, as the
// engine is loaded, leaves Caffe's where they are. In any case, Caffe's are also registered as
// StockConvolution and so on, for comparisons.
#include <cstdlib>
#include <string>

#include "../module.hpp"
#include "../registry.hpp"
#include "layers.hpp"

namespace fcn {

namespace {

using Replacer = LayerReplacer<float>;

Replacer& replacer() {
  static Replacer one;
  return one;
}

// Our layer on the CPU; on the GPU, the layer that Caffe would have made.
template <LayerPointer (*make)(const caffe::LayerParameter&)>
LayerPointer create(const caffe::LayerParameter& param) {
  if (caffe::Caffe::mode() == caffe::Caffe::CPU) return make(param);
  return replacer().make_replaced(param.type(), param);
}

const struct {
  std::string type;
  Replacer::Creator creator;
} kLayers[] = {
    {"Convolution", create<make_convolution>},
    {"Deconvolution", create<make_deconvolution>},
    {"LRN", create<make_lrn>},
    {"Pooling", create<make_pooling>},
    {"ReLU", create<make_relu>},
};

}  // namespace

void register_cpu_layers() {
  const char* requested = std::getenv("CAFFE_CPU");
  const bool stock = requested && std::string(requested) == "stock";
  for (const auto& layer : kLayers) {
    Replacer::Registry::Registry()["Stock" + layer.type] = Replacer::registered(layer.type);
    if (!stock) replacer().replace(layer.type, layer.creator);
  }
}

}  // namespace fcn
