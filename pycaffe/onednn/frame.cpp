// Frame: puts a blob into a larger one, or a part of it, and around it values that never change.
//
// A net that pads its input by 100 pixels computes much that no image has any part in. fcn/frame.py
// takes that from one pass and lets the layers compute the rest: the window. What a layer reads
// beyond its window comes from here.
//
// Its parameters, in reshape_param.shape, are the top's height and width, and the row and column of
// the top where the bottom's first row and column lie, which can be negative. Its one blob of
// weights holds what is not covered by the bottom: for each channel, in the order of rows.
#include <algorithm>

#include "layers.hpp"
#include "log.hpp"
#include "parallel.hpp"

namespace fcn {

namespace {

using Blob = caffe::Blob<float>;
using Blobs = std::vector<Blob*>;

class FrameLayer : public caffe::Layer<float> {
 public:
  using Layer::Layer;

  const char* type() const override { return "Frame"; }
  int ExactNumBottomBlobs() const override { return 1; }
  int ExactNumTopBlobs() const override { return 1; }

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    const auto& shape = layer_param_.reshape_param().shape();
    CHECK_EQ(shape.dim_size(), 4) << layer_param_.name() << ": needs height, width, row, column";
    rows_ = shape.dim(0), columns_ = shape.dim(1);
    row_ = shape.dim(2), column_ = shape.dim(3);
    find_covered(*bottom[0]);
    const int around = rows_ * columns_ - (row_end_ - row_begin_) * (column_end_ - column_begin_);
    CHECK_GT(around, 0) << layer_param_.name() << ": the bottom covers all of the top";
    if (blobs_.empty()) blobs_.emplace_back(new Blob(std::vector<int>{bottom[0]->shape(1), around}));
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    find_covered(*bottom[0]);
    top[0]->Reshape({bottom[0]->shape(0), bottom[0]->shape(1), rows_, columns_});
  }

 protected:
  void Forward_cpu(const Blobs& bottom, const Blobs& top) override {
    const PassTimer timer(layer_param_);
    const ThreadsFor threads(nanoseconds_of_floats(top[0]->count()));
    const int planes = top[0]->count(0, 2), channels = top[0]->shape(1);
    const int width = bottom[0]->shape(3), covered = column_end_ - column_begin_;
    const size_t around = blobs_[0]->count(1);
    const float *in = bottom[0]->cpu_data(), *frames = blobs_[0]->cpu_data();
    float* out = top[0]->mutable_cpu_data();
#pragma omp parallel for schedule(static)
    for (int plane = 0; plane < planes; ++plane) {
      const float* window = in + size_t(plane) * bottom[0]->count(2);
      const float* frame = frames + (plane % channels) * around;
      float* to = out + size_t(plane) * rows_ * columns_;
      const auto take = [&](int count) {
        std::copy(frame, frame + count, to);
        frame += count;
        to += count;
      };
      for (int row = 0; row < rows_; ++row) {
        if (row < row_begin_ || row >= row_end_) {
          take(columns_);
          continue;
        }
        take(column_begin_);
        const float* from = window + size_t(row - row_) * width + (column_begin_ - column_);
        to = std::copy(from, from + covered, to);
        take(columns_ - column_end_);
      }
    }
    timer.log("forward", "frame");
  }

  void Backward_cpu(const Blobs&, const std::vector<bool>& propagate_down, const Blobs&) override {
    CHECK(!propagate_down[0]) << layer_param_.name() << ": a frame is for nets that are only tested";
  }

 private:
  // The rows and columns of the top that the bottom covers.
  void find_covered(const Blob& bottom) {
    CHECK_EQ(bottom.num_axes(), 4) << layer_param_.name() << ": frames N×C×H×W";
    row_begin_ = std::clamp(row_, 0, rows_);
    row_end_ = std::clamp(row_ + bottom.shape(2), row_begin_, rows_);
    column_begin_ = std::clamp(column_, 0, columns_);
    column_end_ = std::clamp(column_ + bottom.shape(3), column_begin_, columns_);
  }

  int rows_, columns_, row_, column_;
  int row_begin_, row_end_, column_begin_, column_end_;
};

}  // namespace

LayerPointer make_frame(const caffe::LayerParameter& param) {
  return LayerPointer(new FrameLayer(param));
}

}  // namespace fcn
