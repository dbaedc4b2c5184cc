// Lets a net that was built in CPU mode compute on the CPU. Caffe's cuDNN layers call the GPU as
// they are set up, whatever the mode, and a net whose layers name no engine gets them. So, in CPU
// mode, the types that have a cuDNN layer get the engine CAFFE.
#include "../module.hpp"
#include "../registry.hpp"

namespace fcn {

namespace {

template <typename Dtype>
LayerReplacer<Dtype>& replacer() {
  static LayerReplacer<Dtype> one;
  return one;
}

// One function for each type, because a creator is a plain function.
#define FCN_CAFFE_ENGINE_ON_CPU(Type, field, Parameter)                            \
  replacer<Dtype>().replace(#Type, [](const caffe::LayerParameter& requested) {    \
    caffe::LayerParameter param(requested);                                        \
    const bool cpu = caffe::Caffe::mode() == caffe::Caffe::CPU;                    \
    if (cpu) param.mutable_##field()->set_engine(caffe::Parameter##_Engine_CAFFE); \
    return replacer<Dtype>().make_replaced(#Type, param);                          \
  })

template <typename Dtype>
void choose_engine_by_mode() {
  FCN_CAFFE_ENGINE_ON_CPU(Convolution, convolution_param, ConvolutionParameter);
  FCN_CAFFE_ENGINE_ON_CPU(Deconvolution, convolution_param, ConvolutionParameter);
  FCN_CAFFE_ENGINE_ON_CPU(LRN, lrn_param, LRNParameter);
  FCN_CAFFE_ENGINE_ON_CPU(Pooling, pooling_param, PoolingParameter);
  FCN_CAFFE_ENGINE_ON_CPU(ReLU, relu_param, ReLUParameter);
  FCN_CAFFE_ENGINE_ON_CPU(Sigmoid, sigmoid_param, SigmoidParameter);
  FCN_CAFFE_ENGINE_ON_CPU(Softmax, softmax_param, SoftmaxParameter);
  FCN_CAFFE_ENGINE_ON_CPU(TanH, tanh_param, TanHParameter);
}

}  // namespace

void register_gpu_layers() {
  choose_engine_by_mode<float>();
  choose_engine_by_mode<double>();
}

}  // namespace fcn
