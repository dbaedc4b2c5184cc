// ReLU and LRN on all threads; LRN without a call of pow for each element where its
// exponent is the usual −0.75.
#include <caffe/layers/lrn_layer.hpp>
#include <caffe/layers/relu_layer.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include "layers.hpp"

namespace fcn {

namespace {

using Blobs = std::vector<caffe::Blob<float>*>;

class ReLU : public caffe::ReLULayer<float> {
 public:
  using ReLULayer::ReLULayer;

 protected:
  void Forward_cpu(const Blobs& bottom, const Blobs& top) override {
    const float* in = bottom[0]->cpu_data();
    float* out = top[0]->mutable_cpu_data();
    const std::ptrdiff_t count = bottom[0]->count();
    const float slope = layer_param_.relu_param().negative_slope();
#pragma omp parallel for simd schedule(static)
    for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = in[i] < 0 ? slope * in[i] : in[i];
  }

  void Backward_cpu(const Blobs& top, const std::vector<bool>& propagate_down, const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const float *data = bottom[0]->cpu_data(), *in = top[0]->cpu_diff();
    float* out = bottom[0]->mutable_cpu_diff();
    const std::ptrdiff_t count = bottom[0]->count();
    const float slope = layer_param_.relu_param().negative_slope();
#pragma omp parallel for simd schedule(static)
    for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = data[i] > 0 ? in[i] : slope * in[i];
  }
};

constexpr int kBlock = 256;  // elements of a plane at once, in all channels

class LRN : public caffe::LRNLayer<float> {
 public:
  using LRNLayer::LRNLayer;

 protected:
  void CrossChannelForward_cpu(const Blobs& bottom, const Blobs& top) override {
    const float* in = bottom[0]->cpu_data();
    float *out = top[0]->mutable_cpu_data(), *scale = scale_.mutable_cpu_data();
    each_block([&](size_t image, int first, int size) {
      for (int c = 0; c < channels_; ++c) {
        float sums[kBlock] = {};
        add_window(c, [&](int other) {
          const float* row = in + at(image, other, first);
          for (int i = 0; i < size; ++i) sums[i] += row[i] * row[i];
        });
        const size_t here = at(image, c, first);
        for (int i = 0; i < size; ++i) scale[here + i] = k_ + alpha_ / size_ * sums[i];
        float powers[kBlock];
        power(scale + here, size, powers);
        for (int i = 0; i < size; ++i) out[here + i] = in[here + i] * powers[i];
      }
    });
  }

  void CrossChannelBackward_cpu(const Blobs& top, const std::vector<bool>& propagate_down,
                                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const float *in = bottom[0]->cpu_data(), *scale = scale_.cpu_data();
    const float *data = top[0]->cpu_data(), *diff = top[0]->cpu_diff();
    float* out = bottom[0]->mutable_cpu_diff();
    const float factor = 2 * alpha_ * beta_ / size_;
    each_block([&](size_t image, int first, int size) {
      for (int c = 0; c < channels_; ++c) {
        float sums[kBlock] = {};
        add_window(c, [&](int other) {
          const size_t there = at(image, other, first);
          for (int i = 0; i < size; ++i) sums[i] += diff[there + i] * data[there + i] / scale[there + i];
        });
        const size_t here = at(image, c, first);
        float powers[kBlock];
        power(scale + here, size, powers);
        for (int i = 0; i < size; ++i) out[here + i] = diff[here + i] * powers[i] - factor * in[here + i] * sums[i];
      }
    });
  }

 private:
  size_t at(size_t image, int channel, int first) const {
    return (image * channels_ + channel) * height_ * width_ + first;
  }

  template <typename Work>
  void each_block(Work work) const {
    const int plane = height_ * width_, blocks = (plane + kBlock - 1) / kBlock;
#pragma omp parallel for collapse(2) schedule(static)
    for (int image = 0; image < num_; ++image) {
      for (int block = 0; block < blocks; ++block) {
        const int first = block * kBlock;
        work(image, first, std::min(kBlock, plane - first));
      }
    }
  }

  template <typename Add>
  void add_window(int channel, Add add) const {
    for (int c = std::max(0, channel - pre_pad_); c <= std::min(channels_ - 1, channel + pre_pad_); ++c) add(c);
  }

  void power(const float* scale, int size, float* powers) const {
    if (beta_ == 0.75f) {
      for (int i = 0; i < size; ++i) {
        const float root = std::sqrt(scale[i]);
        powers[i] = 1 / (root * std::sqrt(root));
      }
    } else {
      for (int i = 0; i < size; ++i) powers[i] = std::pow(scale[i], -beta_);
    }
  }
};

}  // namespace

LayerPointer make_relu(const caffe::LayerParameter& param) { return LayerPointer(new ReLU(param)); }
LayerPointer make_lrn(const caffe::LayerParameter& param) { return LayerPointer(new LRN(param)); }

}  // namespace fcn
