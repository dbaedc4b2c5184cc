// Convolution and Deconvolution on the CPU: subclasses of Caffe's layers that override Reshape and
// the passes of 2-d convolutions. Set-up, fillers and parameters are Caffe's, and so is the
// arithmetic on a GPU and of what is no 2-d convolution.
#include <caffe/layers/conv_layer.hpp>
#include <caffe/layers/deconv_layer.hpp>

#include "fusion.hpp"
#include "kernels.hpp"
#include "layers.hpp"
#include "log.hpp"
#include "parallel.hpp"

namespace fcn {

namespace {

using Blob = caffe::Blob<float>;
using Blobs = std::vector<Blob*>;

// What both layers share. `Base` is Caffe's layer.
template <typename Base>
class OnednnConvolutionBase : public Base {
 public:
  explicit OnednnConvolutionBase(const caffe::LayerParameter& param) : Base(param) {}

  // As Caffe does it, but zeros are not written: memory is zero when it is first read. So a net that
  // then shares the weights of another never has any of its own.
  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    const auto& param = this->layer_param_.convolution_param();
    const bool zero = is_zero(param.weight_filler()) && is_zero(param.bias_filler());
    const bool plane = bottom[0]->num_axes() == 4 && param.axis() == 1 && param.group() > 0;
    if (zero && plane && this->blobs_.empty()) {
      const auto kernel = [&](int axis) {
        if (param.has_kernel_h()) return int(axis ? param.kernel_w() : param.kernel_h());
        const int sizes = param.kernel_size_size();
        return sizes ? int(param.kernel_size(std::min(axis, sizes - 1))) : 0;
      };
      const int channels = bottom[0]->shape(1), outputs = param.num_output();
      const int first = this->reverse_dimensions() ? channels : outputs;
      const int second = (this->reverse_dimensions() ? outputs : channels) / int(param.group());
      this->blobs_.emplace_back(new Blob(std::vector<int>{first, second, kernel(0), kernel(1)}));
      if (param.bias_term()) this->blobs_.emplace_back(new Blob(std::vector<int>{outputs}));
    }
    Base::LayerSetUp(bottom, top);
  }

  // As Caffe does it, but without the buffers for im2col, whose size it would refuse for large
  // images.
  void Reshape(const Blobs& bottom, const Blobs& top) override {
    if (!supported()) return Base::Reshape(bottom, top);
    CHECK_EQ(bottom[0]->num_axes(), 4) << "bottom num_axes may not change.";
    CHECK_EQ(bottom[0]->shape(1), this->channels_)
        << "Input size incompatible with convolution kernel.";
    for (const auto* other : bottom) {
      CHECK(other->shape() == bottom[0]->shape())
          << "shape mismatch - bottom[0]: " << bottom[0]->shape_string() << " vs. "
          << other->shape_string();
    }
    this->num_ = bottom[0]->shape(0);
    this->bottom_shape_ = &bottom[0]->shape();
    this->compute_output_shape();
    const auto& size = this->output_shape_;
    for (auto* blob : top) blob->Reshape({this->num_, this->num_output_, size[0], size[1]});
    this->bottom_dim_ = bottom[0]->count(1);
    this->top_dim_ = top[0]->count(1);
    this->out_spatial_dim_ = top[0]->count(2);
  }

 protected:
  void Forward_cpu(const Blobs& bottom, const Blobs& top) override {
    if (!supported()) {
      const PassTimer timer(this->layer_param_);
      Base::Forward_cpu(bottom, top);
      return timer.log("forward", "caffe");
    }
    for (size_t i = 0; i < bottom.size(); ++i) {
      const PassTimer timer(this->layer_param_);
      const ThreadsFor threads(work(shape(*bottom[i], *top[i])));
      const ChosenKernel kernel = kernel_of(*bottom[i], *top[i]);
      forward(kernel, *bottom[i], top[i]);
      timer.log("forward", [&] { return kernel.describe(forward_pass()); });
    }
  }

  void Backward_cpu(const Blobs& top, const std::vector<bool>& propagate_down,
                    const Blobs& bottom) override {
    if (!supported()) {
      const PassTimer timer(this->layer_param_);
      Base::Backward_cpu(top, propagate_down, bottom);
      return timer.log("backward", "caffe");
    }
    for (size_t i = 0; i < top.size(); ++i) {
      const PassTimer weights_timer(this->layer_param_);
      const ThreadsFor threads(work(shape(*bottom[i], *top[i])));
      bias_backward(*top[i]);
      const ChosenKernel kernel = kernel_of(*bottom[i], *top[i]);
      if (this->param_propagate_down_[0]) {
        weights_backward(kernel, *bottom[i], *top[i]);
        weights_timer.log("backward-weights",
                          [&] { return kernel.describe(Pass::kBackwardWeights); });
      }
      if (propagate_down[i]) {
        const PassTimer data_timer(this->layer_param_);
        data_backward(kernel, *top[i], bottom[i]);
        data_timer.log("backward-data", [&] { return kernel.describe(backward_data_pass()); });
      }
    }
  }

  // The passes of the layer. Those of a deconvolution are others of its convolution.
  virtual Geometry shape(const Blob& bottom, const Blob& top) const = 0;
  virtual ChosenKernel kernel_of(const Blob& bottom, const Blob& top) const = 0;
  virtual Pass forward_pass() const = 0;
  virtual Pass backward_data_pass() const = 0;
  virtual void forward(const ChosenKernel& kernel, const Blob& bottom, Blob* top) = 0;
  virtual void weights_backward(const ChosenKernel& kernel, const Blob& bottom,
                                const Blob& top) = 0;
  virtual void data_backward(const ChosenKernel& kernel, const Blob& top, Blob* bottom) = 0;

  bool supported() const {
    return caffe::Caffe::mode() == caffe::Caffe::CPU && this->num_spatial_axes_ == 2 &&
           this->channel_axis_ == 1 && !this->force_nd_im2col_;
  }

  // The convolution from blobs shaped as `src` to blobs shaped as `dst`.
  Geometry geometry(const Blob& src, const Blob& dst) const {
    const int *kernel = this->kernel_shape_.cpu_data(), *stride = this->stride_.cpu_data();
    const int *pad = this->pad_.cpu_data(), *dilation = this->dilation_.cpu_data();
    return {src.shape(0), src.shape(1), src.shape(2), src.shape(3), dst.shape(1), dst.shape(2),
            dst.shape(3), kernel[0],    kernel[1],    stride[0],    stride[1],    pad[0],
            pad[1],       dilation[0],  dilation[1],  this->group_};
  }

  static double work(const Geometry& g) {
    const double floats = double(g.src_count()) + g.dst_count() + g.weight_count();
    return nanoseconds_of_products(g.products()) + nanoseconds_of_floats(floats);
  }

  const float* weights() const { return this->blobs_[0]->cpu_data(); }
  float* weights_diff() { return this->blobs_[0]->mutable_cpu_diff(); }
  const float* bias() const { return this->bias_term_ ? this->blobs_[1]->cpu_data() : nullptr; }

 private:
  static bool is_zero(const caffe::FillerParameter& filler) {
    return filler.type() == "constant" && filler.value() == 0;
  }

  void bias_backward(const Blob& top) {
    if (!this->bias_term_ || !this->param_propagate_down_[1]) return;
    add_sums(top.shape(0), top.shape(1), top.count(2), top.cpu_diff(),
             this->blobs_[1]->mutable_cpu_diff());
  }
};

class OnednnConvolution : public OnednnConvolutionBase<caffe::ConvolutionLayer<float>>,
                          public ReluSource {
 public:
  using OnednnConvolutionBase::OnednnConvolutionBase;

 protected:
  Geometry shape(const Blob& bottom, const Blob& top) const override {
    return geometry(bottom, top);
  }
  ChosenKernel kernel_of(const Blob& bottom, const Blob& top) const override {
    return kernel_for(shape(bottom, top));
  }
  Pass forward_pass() const override { return Pass::kForward; }
  Pass backward_data_pass() const override { return Pass::kBackwardData; }

  void forward(const ChosenKernel& kernel, const Blob& bottom, Blob* top) override {
    const float* src = bottom.cpu_data();
    float* dst = top->mutable_cpu_data();
    if (relu && kernel->forward_relu(src, weights(), bias(), dst)) {
      relu->done = true;
    } else {
      kernel->forward(src, weights(), bias(), dst);
    }
  }
  void weights_backward(const ChosenKernel& kernel, const Blob& bottom, const Blob& top) override {
    kernel->backward_weights(bottom.cpu_data(), top.cpu_diff(), weights_diff());
  }
  void data_backward(const ChosenKernel& kernel, const Blob& top, Blob* bottom) override {
    kernel->backward_data(top.cpu_diff(), weights(), bottom->mutable_cpu_diff());
  }
};

// Computes forward what the convolution from its top to its bottom computes backward.
class OnednnDeconvolution : public OnednnConvolutionBase<caffe::DeconvolutionLayer<float>> {
 public:
  using OnednnConvolutionBase::OnednnConvolutionBase;

 protected:
  Geometry shape(const Blob& bottom, const Blob& top) const override {
    return geometry(top, bottom);
  }
  ChosenKernel kernel_of(const Blob& bottom, const Blob& top) const override {
    return kernel_for(shape(bottom, top), weights());
  }
  Pass forward_pass() const override { return Pass::kBackwardData; }
  Pass backward_data_pass() const override { return Pass::kForward; }

  void forward(const ChosenKernel& kernel, const Blob& bottom, Blob* top) override {
    float* data = top->mutable_cpu_data();
    kernel->backward_data(bottom.cpu_data(), weights(), data);
    if (bias()) add_bias(top->shape(0), top->shape(1), top->count(2), bias(), data);
  }
  void weights_backward(const ChosenKernel& kernel, const Blob& bottom, const Blob& top) override {
    kernel->backward_weights(top.cpu_diff(), bottom.cpu_data(), weights_diff());
  }
  void data_backward(const ChosenKernel& kernel, const Blob& top, Blob* bottom) override {
    kernel->forward(top.cpu_diff(), weights(), nullptr, bottom->mutable_cpu_diff());
  }
};

}  // namespace

LayerPointer make_convolution(const caffe::LayerParameter& param) {
  return LayerPointer(new OnednnConvolution(param));
}

LayerPointer make_deconvolution(const caffe::LayerParameter& param) {
  return LayerPointer(new OnednnDeconvolution(param));
}

}  // namespace fcn
