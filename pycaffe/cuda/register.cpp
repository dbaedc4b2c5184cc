// Chooses Caffe's own layers instead of its cuDNN layers, by the engine CAFFE:
// - In CPU mode, so that a net that was built in it computes on the CPU. The cuDNN layers call the
//   GPU as they are set up, whatever the mode, and a net whose layers name no engine gets them.
// - For upsampling: the only algorithm of cuDNN for it that gives the same bits each time takes
//   29 ms for FCN-8s' last layer at 500×500 on an H100, more than all other layers together.
// - For convolutions of three dimensions and more, at which the cuDNN layers end the process.
#include <algorithm>
#include <string>

#include "../module.hpp"
#include "../registry.hpp"

namespace fcn {

namespace {

template <typename Dtype>
LayerReplacer<Dtype>& replacer() {
  static LayerReplacer<Dtype> one;
  return one;
}

template <typename Parameter>
bool is_default(const Parameter& param) {
  return param.engine() == Parameter::DEFAULT;
}

bool suits_cudnn_badly(const std::string& type, const caffe::LayerParameter& param) {
  const auto& convolution = param.convolution_param();
  const auto has_stride = [](unsigned stride) { return stride > 1; };
  const bool strided = convolution.stride_h() > 1 || convolution.stride_w() > 1 ||
                       std::any_of(convolution.stride().begin(), convolution.stride().end(),
                                   has_stride);
  return convolution.kernel_size_size() > 2 || (type == "Deconvolution" && strided);
}

// One function for each type, because a creator is a plain function.
#define FCN_CAFFE_ENGINE(Type, field, Parameter)                                        \
  replacer<Dtype>().replace(#Type, [](const caffe::LayerParameter& requested) {         \
    caffe::LayerParameter param(requested);                                             \
    const bool cpu = caffe::Caffe::mode() == caffe::Caffe::CPU;                         \
    if (cpu || (is_default(param.field()) && suits_cudnn_badly(#Type, param))) {        \
      param.mutable_##field()->set_engine(caffe::Parameter##_Engine_CAFFE);             \
    }                                                                                   \
    return replacer<Dtype>().make_replaced(#Type, param);                               \
  })

template <typename Dtype>
void choose_engine_by_mode() {
  FCN_CAFFE_ENGINE(Convolution, convolution_param, ConvolutionParameter);
  FCN_CAFFE_ENGINE(Deconvolution, convolution_param, ConvolutionParameter);
  FCN_CAFFE_ENGINE(LRN, lrn_param, LRNParameter);
  FCN_CAFFE_ENGINE(Pooling, pooling_param, PoolingParameter);
  FCN_CAFFE_ENGINE(ReLU, relu_param, ReLUParameter);
  FCN_CAFFE_ENGINE(Sigmoid, sigmoid_param, SigmoidParameter);
  FCN_CAFFE_ENGINE(Softmax, softmax_param, SoftmaxParameter);
  FCN_CAFFE_ENGINE(TanH, tanh_param, TanHParameter);
}

}  // namespace

void register_gpu_layers() {
  choose_engine_by_mode<float>();
  choose_engine_by_mode<double>();
}

}  // namespace fcn
