// Puts our layers in the place of Caffe's on the CPU. CAFFE_CPU=stock in the environment, as the
// engine is loaded, leaves Caffe's where they are. In any case, Caffe's are also registered as
// StockConvolution and so on, for comparisons.
#include <caffe/layers/conv_layer.hpp>
#include <caffe/layers/deconv_layer.hpp>
#include <caffe/layers/lrn_layer.hpp>
#include <caffe/layers/pooling_layer.hpp>
#include <caffe/layers/relu_layer.hpp>
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

// Caffe's own layer, whose type is the name that it is registered by.
template <typename Base>
struct Stock : Base {
  using Base::Base;
  const char* type() const override { return this->layer_param_.type().c_str(); }
};

template <template <typename> class Base>
LayerPointer create_stock(const caffe::LayerParameter& param) {
  return LayerPointer(new Stock<Base<float>>(param));
}

const struct {
  std::string type;
  Replacer::Creator creator, stock;
} kLayers[] = {
    {"Convolution", create<make_convolution>, create_stock<caffe::ConvolutionLayer>},
    {"Deconvolution", create<make_deconvolution>, create_stock<caffe::DeconvolutionLayer>},
    {"LRN", create<make_lrn>, create_stock<caffe::LRNLayer>},
    {"Pooling", create<make_pooling>, create_stock<caffe::PoolingLayer>},
    {"ReLU", create<make_relu>, create_stock<caffe::ReLULayer>},
};

}  // namespace

void register_cpu_layers() {
  Replacer::Registry::Registry()["Frame"] = make_frame;
  const char* requested = std::getenv("CAFFE_CPU");
  const bool stock = requested && std::string(requested) == "stock";
  for (const auto& layer : kLayers) {
    Replacer::Registry::Registry()["Stock" + layer.type] = layer.stock;
    if (!stock) replacer().replace(layer.type, layer.creator);
  }
}

}  // namespace fcn
