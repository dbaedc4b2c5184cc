// ReLU and LRN on all threads; LRN without a call of pow for each element where its exponent is the
// usual −0.75.
#include <algorithm>
#include <caffe/layers/lrn_layer.hpp>
#include <caffe/layers/relu_layer.hpp>
#include <cmath>
#include <vector>

#include "fusion.hpp"
#include "layers.hpp"
#include "log.hpp"
#include "parallel.hpp"

namespace fcn {

namespace {

using Blobs = std::vector<caffe::Blob<float>*>;

class ReLU : public caffe::ReLULayer<float>, public ReluTarget {
 public:
  using ReLULayer::ReLULayer;

  bool is_plain() const override { return layer_param_.relu_param().negative_slope() == 0; }

 protected:
  void Forward_cpu(const Blobs& bottom, const Blobs& top) override {
    const PassTimer timer(layer_param_);
    if (done) {
      done = false;
      return timer.log("forward", "fused");
    }
    const float* in = bottom[0]->cpu_data();
    float* out = top[0]->mutable_cpu_data();
    const std::ptrdiff_t count = bottom[0]->count();
    const float slope = layer_param_.relu_param().negative_slope();
    const ThreadsFor threads(nanoseconds_of_floats(count));
#pragma omp parallel for simd schedule(static)
    for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = in[i] < 0 ? slope * in[i] : in[i];
    timer.log("forward", "parallel");
  }

  void Backward_cpu(const Blobs& top, const std::vector<bool>& propagate_down,
                    const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const PassTimer timer(layer_param_);
    const float *data = bottom[0]->cpu_data(), *in = top[0]->cpu_diff();
    float* out = bottom[0]->mutable_cpu_diff();
    const std::ptrdiff_t count = bottom[0]->count();
    const float slope = layer_param_.relu_param().negative_slope();
    const ThreadsFor threads(nanoseconds_of_floats(count));
#pragma omp parallel for simd schedule(static)
    for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = data[i] > 0 ? in[i] : slope * in[i];
    timer.log("backward-data", "parallel");
  }
};

constexpr int kBlock = 256;  // elements of a plane at once, in all channels

class LRN : public caffe::LRNLayer<float> {
 public:
  using LRNLayer::LRNLayer;

 protected:
  void Forward_cpu(const Blobs& bottom, const Blobs& top) override {
    const PassTimer timer(layer_param_);
    LRNLayer::Forward_cpu(bottom, top);
    timer.log("forward", kernel().name);
  }

  void Backward_cpu(const Blobs& top, const std::vector<bool>& propagate_down,
                    const Blobs& bottom) override {
    const PassTimer timer(layer_param_);
    LRNLayer::Backward_cpu(top, propagate_down, bottom);
    timer.log("backward-data", kernel().name);
  }

  void CrossChannelForward_cpu(const Blobs& bottom, const Blobs& top) override {
    const float* in = bottom[0]->cpu_data();
    float *out = top[0]->mutable_cpu_data(), *scale = scale_.mutable_cpu_data();
    for_each_block([&](size_t image, int first, int size) {
      for (int c = 0; c < channels_; ++c) {
        float sums[kBlock] = {};
        add_window(c, [&](int other) {
          const float* row = in + offset(image, other, first);
          for (int i = 0; i < size; ++i) sums[i] += row[i] * row[i];
        });
        const size_t here = offset(image, c, first);
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
    for_each_block([&](size_t image, int first, int size) {
      for (int c = 0; c < channels_; ++c) {
        float sums[kBlock] = {};
        add_window(c, [&](int other) {
          const size_t there = offset(image, other, first);
          for (int i = 0; i < size; ++i)
            sums[i] += diff[there + i] * data[there + i] / scale[there + i];
        });
        const size_t here = offset(image, c, first);
        float powers[kBlock];
        power(scale + here, size, powers);
        for (int i = 0; i < size; ++i)
          out[here + i] = diff[here + i] * powers[i] - factor * in[here + i] * sums[i];
      }
    });
  }

 private:
  // A row of the table of kernels; `power` is null where Caffe's own code computes the layer.
  struct Kernel {
    const char* name;
    bool (*applies)(const LRN& layer);
    void (*power)(const float* scale, int size, float beta, float* powers);
  };
  static const Kernel kKernels[];

  size_t offset(size_t image, int channel, int first) const {
    return (image * channels_ + channel) * height_ * width_ + first;
  }

  template <typename Work>
  void for_each_block(Work work) const {
    const int plane = height_ * width_, blocks = (plane + kBlock - 1) / kBlock;
    const ThreadsFor threads(size_ * nanoseconds_of_floats(double(num_) * channels_ * plane));
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
    for (int c = std::max(0, channel - pre_pad_); c <= std::min(channels_ - 1, channel + pre_pad_);
         ++c)
      add(c);
  }

  // Writes scale^−beta.
  void power(const float* scale, int size, float* powers) const {
    kernel().power(scale, size, beta_, powers);
  }

  const Kernel& kernel() const {
    const Kernel* kernel = kKernels;
    while (!kernel->applies(*this)) ++kernel;
    return *kernel;
  }

  bool within_channel() const {
    const auto region = layer_param_.lrn_param().norm_region();
    return region == caffe::LRNParameter_NormRegion_WITHIN_CHANNEL;
  }

  static void power_by_roots(const float* scale, int size, float, float* powers) {
    for (int i = 0; i < size; ++i) {
      const float root = std::sqrt(scale[i]);
      powers[i] = 1 / (root * std::sqrt(root));
    }
  }

  static void power_by_pow(const float* scale, int size, float beta, float* powers) {
    for (int i = 0; i < size; ++i) powers[i] = std::pow(scale[i], -beta);
  }
};

// In order of preference.
const LRN::Kernel LRN::kKernels[] = {
    {"caffe", [](const LRN& l) { return l.within_channel(); }, nullptr},
    {"blocks-roots", [](const LRN& l) { return l.beta_ == 0.75f; }, LRN::power_by_roots},
    {"blocks-pow", [](const LRN&) { return true; }, LRN::power_by_pow},
};

}  // namespace

LayerPointer make_relu(const caffe::LayerParameter& param) { return LayerPointer(new ReLU(param)); }
LayerPointer make_lrn(const caffe::LayerParameter& param) { return LayerPointer(new LRN(param)); }

}  // namespace fcn
