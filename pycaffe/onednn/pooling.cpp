// Max and average pooling on all threads, a row at a time, in the place of Caffe's scalar loops on
// one thread. Max pooling keeps no indices of its maxima, which would be as large as its output:
// the backward pass finds them again, the first of equal ones as in Caffe.
#include <algorithm>
#include <caffe/layers/pooling_layer.hpp>
#include <cfloat>
#include <cstring>
#include <vector>

#include "layers.hpp"
#include "log.hpp"
#include "parallel.hpp"

namespace fcn {

namespace {

using Blob = caffe::Blob<float>;
using Blobs = std::vector<Blob*>;

class Pooling : public caffe::PoolingLayer<float> {
 public:
  using PoolingLayer::PoolingLayer;

 protected:
  void Forward_cpu(const Blobs& bottom, const Blobs& top) override {
    const PassTimer timer(layer_param_);
    const Kernel& kernel = kernel_for(top);
    (this->*kernel.forward)(kernel, bottom, top);
    timer.log("forward", kernel.name);
  }

  void Backward_cpu(const Blobs& top, const std::vector<bool>& propagate_down,
                    const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const PassTimer timer(layer_param_);
    const Kernel& kernel = kernel_for(top);
    (this->*kernel.backward)(kernel, top, bottom);
    timer.log("backward-data", kernel.name);
  }

 private:
  struct Span {
    int from, to;
  };

  // A row of the table of kernels. The last two members compute one row of the output, or from it.
  struct Kernel {
    const char* name;
    bool (Pooling::*applies)(const Blobs& top) const;
    void (Pooling::*forward)(const Kernel& kernel, const Blobs& bottom, const Blobs& top);
    void (Pooling::*backward)(const Kernel& kernel, const Blobs& top, const Blobs& bottom);
    void (Pooling::*row)(const float* plane, int y, float* columns, float* out) const;
    void (Pooling::*row_backward)(const float* plane, const float* top_diff, int y,
                                  float* diff) const;
  };
  static const Kernel kKernels[];

  // The first kernel of the table that applies.
  const Kernel& kernel_for(const Blobs& top) const {
    const Kernel* kernel = kKernels;
    while (!(this->*kernel->applies)(top)) ++kernel;
    return *kernel;
  }

  bool is(caffe::PoolingParameter_PoolMethod method, const Blobs& top) const {
    return top.size() == 1 && layer_param_.pooling_param().pool() == method;
  }
  bool is_max(const Blobs& top) const { return is(caffe::PoolingParameter_PoolMethod_MAX, top); }
  bool is_mean(const Blobs& top) const { return is(caffe::PoolingParameter_PoolMethod_AVE, top); }
  bool is_any(const Blobs&) const { return true; }

  void by_rows(const Kernel& kernel, const Blobs& bottom, const Blobs& top) {
    const float* from = bottom[0]->cpu_data();
    float* to = top[0]->mutable_cpu_data();
    const int planes = bottom[0]->shape(0) * channels_;
    const ThreadsFor threads(work(*bottom[0], *top[0]));
#pragma omp parallel
    {
      std::vector<float> columns(width_);
#pragma omp for schedule(static)
      for (int plane = 0; plane < planes; ++plane) {
        for (int y = 0; y < pooled_height_; ++y) {
          const float* in = from + size_t(plane) * height_ * width_;
          float* out = to + (size_t(plane) * pooled_height_ + y) * pooled_width_;
          (this->*kernel.row)(in, y, columns.data(), out);
        }
      }
    }
  }

  void by_rows_backward(const Kernel& kernel, const Blobs& top, const Blobs& bottom) {
    const float *data = bottom[0]->cpu_data(), *top_diff = top[0]->cpu_diff();
    float* diff = bottom[0]->mutable_cpu_diff();
    const int planes = bottom[0]->shape(0) * channels_;
    const ThreadsFor threads(work(*bottom[0], *top[0]));
#pragma omp parallel for schedule(static)
    for (int plane = 0; plane < planes; ++plane) {
      const size_t offset = size_t(plane) * height_ * width_;
      std::memset(diff + offset, 0, size_t(height_) * width_ * sizeof(float));
      for (int y = 0; y < pooled_height_; ++y) {
        const float* in = top_diff + (size_t(plane) * pooled_height_ + y) * pooled_width_;
        (this->*kernel.row_backward)(data + offset, in, y, diff + offset);
      }
    }
  }

  double work(const Blob& bottom, const Blob& top) const {
    const double window = double(kernel_h_) * kernel_w_;
    return nanoseconds_of_floats(bottom.count() + top.count() * window);
  }

  void by_caffe(const Kernel&, const Blobs& bottom, const Blobs& top) {
    PoolingLayer::Forward_cpu(bottom, top);
  }

  void by_caffe_backward(const Kernel&, const Blobs& top, const Blobs& bottom) {
    PoolingLayer::Backward_cpu(top, {true}, bottom);
  }

  Span rows(int y) const {
    const int from = y * stride_h_ - pad_h_;
    return {std::max(from, 0), std::min(from + kernel_h_, height_)};
  }

  Span columns_of(int x) const {
    const int from = x * stride_w_ - pad_w_;
    return {std::max(from, 0), std::min(from + kernel_w_, width_)};
  }

  // The number of elements that Caffe divides by: padding counts, what lies beyond it does not.
  int area(int y, int x) const {
    const int top = y * stride_h_ - pad_h_, left = x * stride_w_ - pad_w_;
    return (std::min(top + kernel_h_, height_ + pad_h_) - top) *
           (std::min(left + kernel_w_, width_ + pad_w_) - left);
  }

  void max_row(const float* plane, int y, float* columns, float* out) const {
    std::fill(columns, columns + width_, -FLT_MAX);
    for (int h = rows(y).from; h < rows(y).to; ++h) {
      const float* in = plane + size_t(h) * width_;
      for (int w = 0; w < width_; ++w) columns[w] = in[w] > columns[w] ? in[w] : columns[w];
    }
    int x = 0;
    const bool by_twos = stride_w_ == 2 && pad_w_ == 0 && (kernel_w_ == 2 || kernel_w_ == 3);
    if (by_twos && width_ >= kernel_w_) {
      // Loops that the compiler vectorises, over windows that lie inside.
      const int whole = std::min(pooled_width_, (width_ - kernel_w_) / 2 + 1);
      for (; x < whole; ++x) {
        const float one = columns[2 * x], other = columns[2 * x + 1];
        out[x] = other > one ? other : one;
      }
      if (kernel_w_ == 3) {
        for (x = 0; x < whole; ++x) {
          const float third = columns[2 * x + 2];
          out[x] = third > out[x] ? third : out[x];
        }
      }
    }
    for (; x < pooled_width_; ++x) {
      const Span span = columns_of(x);
      float best = -FLT_MAX;
      for (int w = span.from; w < span.to; ++w) best = columns[w] > best ? columns[w] : best;
      out[x] = best;
    }
  }

  void mean_row(const float* plane, int y, float* columns, float* out) const {
    std::fill(columns, columns + width_, 0.f);
    for (int h = rows(y).from; h < rows(y).to; ++h) {
      const float* in = plane + size_t(h) * width_;
      for (int w = 0; w < width_; ++w) columns[w] += in[w];
    }
    for (int x = 0; x < pooled_width_; ++x) {
      const Span span = columns_of(x);
      float sum = 0;
      for (int w = span.from; w < span.to; ++w) sum += columns[w];
      out[x] = sum / area(y, x);
    }
  }

  void max_row_backward(const float* plane, const float* top_diff, int y, float* diff) const {
    const Span down = rows(y);
    for (int x = 0; x < pooled_width_; ++x) {
      const Span span = columns_of(x);
      float best = -FLT_MAX;
      std::ptrdiff_t offset = -1;
      for (int h = down.from; h < down.to; ++h) {
        for (int w = span.from; w < span.to; ++w) {
          const std::ptrdiff_t here = std::ptrdiff_t(h) * width_ + w;
          const bool more = plane[here] > best;
          best = more ? plane[here] : best;
          offset = more ? here : offset;
        }
      }
      if (offset >= 0) diff[offset] += top_diff[x];  // None is greater where all are NaN or −∞.
    }
  }

  void mean_row_backward(const float*, const float* top_diff, int y, float* diff) const {
    const Span down = rows(y);
    for (int x = 0; x < pooled_width_; ++x) {
      const Span span = columns_of(x);
      const float share = top_diff[x] / area(y, x);
      for (int h = down.from; h < down.to; ++h) {
        for (int w = span.from; w < span.to; ++w) diff[size_t(h) * width_ + w] += share;
      }
    }
  }
};

// In order of preference.
const Pooling::Kernel Pooling::kKernels[] = {
    {"max-rows", &Pooling::is_max, &Pooling::by_rows, &Pooling::by_rows_backward, &Pooling::max_row,
     &Pooling::max_row_backward},
    {"mean-rows", &Pooling::is_mean, &Pooling::by_rows, &Pooling::by_rows_backward,
     &Pooling::mean_row, &Pooling::mean_row_backward},
    {"caffe", &Pooling::is_any, &Pooling::by_caffe, &Pooling::by_caffe_backward, nullptr, nullptr},
};

}  // namespace

LayerPointer make_pooling(const caffe::LayerParameter& param) {
  return LayerPointer(new Pooling(param));
}

}  // namespace fcn
