// Max and average pooling on all threads, a row at a time, in the place of Caffe's
// scalar loops on one. Max pooling keeps no indices of its maxima (as large as its
// output): the backward pass finds them again, the first of equals as in Caffe.
#include <caffe/layers/pooling_layer.hpp>

#include <algorithm>
#include <cfloat>
#include <cstring>
#include <vector>

#include "layers.hpp"

namespace fcn {

namespace {

using Blobs = std::vector<caffe::Blob<float>*>;

class Pooling : public caffe::PoolingLayer<float> {
 public:
  using PoolingLayer::PoolingLayer;

 protected:
  void Forward_cpu(const Blobs& bottom, const Blobs& top) override {
    if (!ours(top)) return PoolingLayer::Forward_cpu(bottom, top);
    const float* from = bottom[0]->cpu_data();
    float* to = top[0]->mutable_cpu_data();
    const int planes = bottom[0]->shape(0) * channels_;
#pragma omp parallel
    {
      std::vector<float> columns(width_);
#pragma omp for schedule(static)
      for (int plane = 0; plane < planes; ++plane) {
        for (int y = 0; y < pooled_height_; ++y) {
          const float* in = from + size_t(plane) * height_ * width_;
          float* out = to + (size_t(plane) * pooled_height_ + y) * pooled_width_;
          if (is_max()) {
            max_row(in, y, columns.data(), out);
          } else {
            mean_row(in, y, columns.data(), out);
          }
        }
      }
    }
  }

  void Backward_cpu(const Blobs& top, const std::vector<bool>& propagate_down, const Blobs& bottom) override {
    if (!ours(top)) return PoolingLayer::Backward_cpu(top, propagate_down, bottom);
    if (!propagate_down[0]) return;
    const float *data = bottom[0]->cpu_data(), *top_diff = top[0]->cpu_diff();
    float* diff = bottom[0]->mutable_cpu_diff();
    const int planes = bottom[0]->shape(0) * channels_;
#pragma omp parallel for schedule(static)
    for (int plane = 0; plane < planes; ++plane) {
      const size_t at = size_t(plane) * height_ * width_;
      std::memset(diff + at, 0, size_t(height_) * width_ * sizeof(float));
      for (int y = 0; y < pooled_height_; ++y) {
        const float* in = top_diff + (size_t(plane) * pooled_height_ + y) * pooled_width_;
        if (is_max()) {
          max_row_backward(data + at, in, y, diff + at);
        } else {
          mean_row_backward(in, y, diff + at);
        }
      }
    }
  }

 private:
  struct Span {
    int from, to;
  };

  bool is_max() const { return layer_param_.pooling_param().pool() == caffe::PoolingParameter_PoolMethod_MAX; }

  bool ours(const Blobs& top) const {
    return caffe::Caffe::mode() == caffe::Caffe::CPU && top.size() == 1 &&
           (is_max() || layer_param_.pooling_param().pool() == caffe::PoolingParameter_PoolMethod_AVE);
  }

  Span rows(int y) const {
    const int from = y * stride_h_ - pad_h_;
    return {std::max(from, 0), std::min(from + kernel_h_, height_)};
  }

  Span columns_of(int x) const {
    const int from = x * stride_w_ - pad_w_;
    return {std::max(from, 0), std::min(from + kernel_w_, width_)};
  }

  // The elements that Caffe divides by: padding counts, what lies beyond it does not.
  int area(int y, int x) const {
    const int top = y * stride_h_ - pad_h_, left = x * stride_w_ - pad_w_;
    return (std::min(top + kernel_h_, height_ + pad_h_) - top) * (std::min(left + kernel_w_, width_ + pad_w_) - left);
  }

  void max_row(const float* plane, int y, float* columns, float* out) const {
    std::fill(columns, columns + width_, -FLT_MAX);
    for (int h = rows(y).from; h < rows(y).to; ++h) {
      const float* in = plane + size_t(h) * width_;
      for (int w = 0; w < width_; ++w) columns[w] = in[w] > columns[w] ? in[w] : columns[w];
    }
    for (int x = 0; x < pooled_width_; ++x) {
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
      std::ptrdiff_t at = -1;
      for (int h = down.from; h < down.to; ++h) {
        for (int w = span.from; w < span.to; ++w) {
          const std::ptrdiff_t here = std::ptrdiff_t(h) * width_ + w;
          const bool more = plane[here] > best;
          best = more ? plane[here] : best;
          at = more ? here : at;
        }
      }
      if (at >= 0) diff[at] += top_diff[x];  // None is greater where all are NaN or −∞.
    }
  }

  void mean_row_backward(const float* top_diff, int y, float* diff) const {
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

}  // namespace

LayerPointer make_pooling(const caffe::LayerParameter& param) { return LayerPointer(new Pooling(param)); }

}  // namespace fcn
