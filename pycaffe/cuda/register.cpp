// Caffe's cuDNN layers call the GPU as they are set up, whatever the mode, and a net whose layers name no
// engine gets them. So in CPU mode, the types that have a cuDNN layer are made of Caffe's own.
#include <map>
#include <string>

#include "caffe/layer_factory.hpp"

namespace pycaffe {

namespace {

using caffe::LayerParameter;

template <typename Dtype>
using Registry = caffe::LayerRegistry<Dtype>;

template <typename Dtype>
std::map<std::string, typename Registry<Dtype>::Creator>& made_by_caffe() {
  static std::map<std::string, typename Registry<Dtype>::Creator> creators;
  return creators;
}

// One for each type, since a creator is a plain function.
#define PYCAFFE_ENGINE_BY_MODE(Type, field, Parameter)                                \
  template <typename Dtype>                                                           \
  boost::shared_ptr<caffe::Layer<Dtype>> create_##Type(const LayerParameter& given) { \
    LayerParameter param(given);                                                      \
    const bool cpu = caffe::Caffe::mode() == caffe::Caffe::CPU;                       \
    if (cpu) param.mutable_##field()->set_engine(caffe::Parameter##_Engine_CAFFE);    \
    return made_by_caffe<Dtype>()[#Type](param);                                      \
  }                                                                                   \
  const bool replaced_##Type =                                                        \
      replace<float>(#Type, create_##Type<float>) && replace<double>(#Type, create_##Type<double>);

template <typename Dtype>
bool replace(const char* type, typename Registry<Dtype>::Creator ours) {
  auto& registry = Registry<Dtype>::Registry();
  // Objects are initialised in the linker's order, and it is given this file after Caffe's.
  CHECK_EQ(registry.count(type), 1) << type << " is to be replaced before it is registered";
  made_by_caffe<Dtype>()[type] = registry[type];
  registry[type] = ours;
  return true;
}

PYCAFFE_ENGINE_BY_MODE(Convolution, convolution_param, ConvolutionParameter)
PYCAFFE_ENGINE_BY_MODE(Deconvolution, convolution_param, ConvolutionParameter)
PYCAFFE_ENGINE_BY_MODE(LRN, lrn_param, LRNParameter)
PYCAFFE_ENGINE_BY_MODE(Pooling, pooling_param, PoolingParameter)
PYCAFFE_ENGINE_BY_MODE(ReLU, relu_param, ReLUParameter)
PYCAFFE_ENGINE_BY_MODE(Sigmoid, sigmoid_param, SigmoidParameter)
PYCAFFE_ENGINE_BY_MODE(Softmax, softmax_param, SoftmaxParameter)
PYCAFFE_ENGINE_BY_MODE(TanH, tanh_param, TanHParameter)

}  // namespace

}  // namespace pycaffe
