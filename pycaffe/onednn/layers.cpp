// Convolution and Deconvolution on the CPU, in the place of Caffe's own, which they
// are descended from: set-up, fillers, parameters and all that is not the arithmetic
// are Caffe's, and so is the arithmetic on a GPU and of what is not a 2-d convolution.
#include "layers.hpp"

#include <caffe/layers/conv_layer.hpp>
#include <caffe/layers/deconv_layer.hpp>

#include "convolver.hpp"

namespace fcn {

namespace {

using Blobs = std::vector<caffe::Blob<float>*>;

// What both layers share: `Base` is Caffe's layer.
template <typename Base>
class Faster : public Base {
 public:
  explicit Faster(const caffe::LayerParameter& param) : Base(param) {}

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    if (!ours()) return Base::Reshape(bottom, top);
    // As Caffe does it, less the buffers for im2col, whose size it would refuse for large images.
    CHECK_EQ(bottom[0]->num_axes(), 4) << "bottom num_axes may not change.";
    CHECK_EQ(bottom[0]->shape(1), this->channels_) << "Input size incompatible with convolution kernel.";
    for (const auto* other : bottom) {
      CHECK(other->shape() == bottom[0]->shape())
          << "shape mismatch - bottom[0]: " << bottom[0]->shape_string() << " vs. " << other->shape_string();
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
  bool ours() const {
    return caffe::Caffe::mode() == caffe::Caffe::CPU && this->num_spatial_axes_ == 2 && this->channel_axis_ == 1 &&
           !this->force_nd_im2col_;
  }

  // The convolution from blobs shaped as `src` to blobs shaped as `dst`.
  Geometry geometry(const caffe::Blob<float>& src, const caffe::Blob<float>& dst) const {
    const int *kernel = this->kernel_shape_.cpu_data(), *stride = this->stride_.cpu_data();
    const int *pad = this->pad_.cpu_data(), *dilation = this->dilation_.cpu_data();
    return {src.shape(0), src.shape(1), src.shape(2), src.shape(3), dst.shape(1), dst.shape(2), dst.shape(3),
            kernel[0],    kernel[1],    stride[0],    stride[1],    pad[0],       pad[1],       dilation[0],
            dilation[1],  this->group_};
  }

  const float* weights() const { return this->blobs_[0]->cpu_data(); }
  const float* bias() const { return this->bias_term_ ? this->blobs_[1]->cpu_data() : nullptr; }

  void bias_backward(const caffe::Blob<float>& top) {
    if (!this->bias_term_ || !this->param_propagate_down_[1]) return;
    add_sums(top.shape(0), top.shape(1), top.count(2), top.cpu_diff(), this->blobs_[1]->mutable_cpu_diff());
  }
};

class Convolution : public Faster<caffe::ConvolutionLayer<float>> {
 public:
  using Faster::Faster;

 protected:
  void Forward_cpu(const Blobs& bottom, const Blobs& top) override {
    if (!ours()) return ConvolutionLayer::Forward_cpu(bottom, top);
    for (size_t i = 0; i < bottom.size(); ++i) {
      convolver(geometry(*bottom[i], *top[i]))
          ->forward(bottom[i]->cpu_data(), weights(), bias(), top[i]->mutable_cpu_data());
    }
  }

  void Backward_cpu(const Blobs& top, const std::vector<bool>& propagate_down, const Blobs& bottom) override {
    if (!ours()) return ConvolutionLayer::Backward_cpu(top, propagate_down, bottom);
    for (size_t i = 0; i < top.size(); ++i) {
      bias_backward(*top[i]);
      const auto way = convolver(geometry(*bottom[i], *top[i]));
      if (param_propagate_down_[0]) {
        way->backward_weights(bottom[i]->cpu_data(), top[i]->cpu_diff(), blobs_[0]->mutable_cpu_diff());
      }
      if (propagate_down[i]) {
        way->backward_data(top[i]->cpu_diff(), weights(), bottom[i]->mutable_cpu_diff());
      }
    }
  }
};

class Deconvolution : public Faster<caffe::DeconvolutionLayer<float>> {
 public:
  using Faster::Faster;

 protected:
  void Forward_cpu(const Blobs& bottom, const Blobs& top) override {
    if (!ours()) return DeconvolutionLayer::Forward_cpu(bottom, top);
    for (size_t i = 0; i < bottom.size(); ++i) {
      float* data = top[i]->mutable_cpu_data();
      way(*bottom[i], *top[i])->backward_data(bottom[i]->cpu_data(), weights(), data);
      if (bias()) add_bias(top[i]->shape(0), top[i]->shape(1), top[i]->count(2), bias(), data);
    }
  }

  void Backward_cpu(const Blobs& top, const std::vector<bool>& propagate_down, const Blobs& bottom) override {
    if (!ours()) return DeconvolutionLayer::Backward_cpu(top, propagate_down, bottom);
    for (size_t i = 0; i < top.size(); ++i) {
      bias_backward(*top[i]);
      const auto chosen = way(*bottom[i], *top[i]);
      if (param_propagate_down_[0]) {
        chosen->backward_weights(top[i]->cpu_diff(), bottom[i]->cpu_data(), blobs_[0]->mutable_cpu_diff());
      }
      if (propagate_down[i]) {
        chosen->forward(top[i]->cpu_diff(), weights(), nullptr, bottom[i]->mutable_cpu_diff());
      }
    }
  }

 private:
  std::shared_ptr<Convolver> way(const caffe::Blob<float>& bottom, const caffe::Blob<float>& top) const {
    const Geometry shape = geometry(top, bottom);
    if (is_diagonal(shape, weights())) return diagonal_convolver(shape);
    return convolver(shape);
  }
};

}  // namespace

LayerPointer make_convolution(const caffe::LayerParameter& param) { return LayerPointer(new Convolution(param)); }
LayerPointer make_deconvolution(const caffe::LayerParameter& param) { return LayerPointer(new Deconvolution(param)); }

}  // namespace fcn
