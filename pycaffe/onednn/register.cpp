// Puts our layers in the place of Caffe's on the CPU. CAFFE_CPU=stock in the
// environment, as the engine is loaded, leaves Caffe's where they are. Each is there as
// StockConvolution and so on in any case, for comparisons.
#include <caffe/layer_factory.hpp>

#include <cstdlib>
#include <map>
#include <string>

#include "layers.hpp"

namespace fcn {

namespace {

using Registry = caffe::LayerRegistry<float>;

std::map<std::string, Registry::Creator>& stock() {
  static std::map<std::string, Registry::Creator> creators;
  return creators;
}

// Ours on the CPU unless the layer asks for an engine; else Caffe's choice.
template <LayerPointer (*ours)(const caffe::LayerParameter&)>
LayerPointer create(const caffe::LayerParameter& param) {
  if (caffe::Caffe::mode() != caffe::Caffe::CPU) return stock()[param.type()](param);
  return ours(param);
}

bool replace(const std::string& type, Registry::Creator ours) {
  auto& registry = Registry::Registry();
  // Caffe's layers register themselves before: the linker is given this file last.
  CHECK_EQ(registry.count(type), 1) << type << " is to be replaced before it is registered";
  stock()[type] = registry[type];
  registry["Stock" + type] = registry[type];
  const char* wanted = std::getenv("CAFFE_CPU");
  if (!wanted || std::string(wanted) != "stock") registry[type] = ours;
  return true;
}

const bool replaced[] = {
    replace("Convolution", create<make_convolution>),
    replace("Deconvolution", create<make_deconvolution>),
    replace("LRN", create<make_lrn>),
    replace("Pooling", create<make_pooling>),
    replace("ReLU", create<make_relu>),
};

}  // namespace

}  // namespace fcn
