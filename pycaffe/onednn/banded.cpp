// oneDNN's convolutions of large images in bands of rows, so that the workspace that all layers
// share stays small.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "band.hpp"
#include "convolvers.hpp"

namespace fcn {

namespace {

// What is read for the output rows first … first + rows − 1.
Band band_of_output(const Geometry& g, int first, int rows) {
  const int begin = first * g.sh - g.ph;
  const int end = (first + rows - 1) * g.sh - g.ph + (g.kh - 1) * g.dh + 1;
  const int src_first = std::max(begin, 0), src_rows = std::min(end, g.h) - src_first;
  return {src_first, src_rows, first, rows, src_first - begin, end - src_first - src_rows,
          0,         src_rows};
}

// What the gradients of the input rows first … first + rows − 1 are computed from, at stride 1.
Band band_of_input(const Geometry& g, int first, int rows) {
  const int begin = std::max(0, first + g.ph - (g.kh - 1) * g.dh);
  const int end = std::min(g.oh, first + rows + g.ph);
  Band band = band_of_output(g, begin, end - begin);
  band.exact_first = first - band.src_first;
  band.exact_rows = rows;
  return band;
}

// Above this workspace an image is computed in bands. Half of this is slower, because each band
// reorders the weights again.
constexpr size_t kMaxWorkspaceBytes = size_t(160) << 20;

// A convolution in bands of rows, one after another.
class BandedConvolver : public Convolver {
 public:
  BandedConvolver(const Geometry& shape, Tag blocked, int bands) : g(shape), blocked_(blocked) {
    const int out = (g.oh + bands - 1) / bands, in = (g.h + bands - 1) / bands;
    for (int first = 0; first < g.oh; first += out) {
      add(&by_output_, band_of_output(g, first, std::min(out, g.oh - first)));
    }
    for (int first = 0; first < g.h; first += in) {
      add(&by_input_, band_of_input(g, first, std::min(in, g.h - first)));
    }
  }

  void forward(const float* src, const float* weights, const float* bias, float* dst) override {
    for (auto& [band, part] : by_output_) {
      part->forward(src + src_offset(band), weights, bias, dst + dst_offset(band));
    }
  }

  void backward_data(const float* ddst, const float* weights, float* dsrc) override {
    for (auto& [band, part] : by_input_) {
      part->backward_data(ddst + dst_offset(band), weights, dsrc + exact_offset(band));
    }
  }

  void backward_weights(const float* src, const float* ddst, float* dweights) override {
    for (auto& [band, part] : by_output_) {
      part->backward_weights(src + src_offset(band), ddst + dst_offset(band), dweights);
    }
  }

  std::string implementation(Pass pass) const override {
    const Parts& parts = pass == Pass::kBackwardData ? by_input_ : by_output_;
    const std::string bands = std::to_string(parts.size()) + " bands";
    return parts[0].second->implementation(pass) + ", " + bands;
  }

 private:
  using Parts = std::vector<std::pair<Band, std::shared_ptr<BandConvolver>>>;

  size_t src_offset(const Band& band) const { return size_t(band.src_first) * g.w; }
  size_t exact_offset(const Band& band) const {
    return size_t(band.src_first + band.exact_first) * g.w;
  }
  size_t dst_offset(const Band& band) const { return size_t(band.dst_first) * g.ow; }

  // Bands of the same shape share a convolver.
  void add(Parts* parts, const Band& band) {
    auto& part = by_shape_[band.shape()];
    if (!part) {
      part = band_convolver(g, band, blocked_);
      part->check_backward();
    }
    parts->push_back({band, part});
  }

  const Geometry g;
  const Tag blocked_;
  std::map<std::array<int, 6>, std::shared_ptr<BandConvolver>> by_shape_;
  Parts by_output_, by_input_;
};

}  // namespace

std::unique_ptr<Convolver> direct_convolver(const Geometry& g, Tag blocked) {
  const Band all{0, g.h, 0, g.oh, g.ph, g.ph, 0, g.h};
  auto whole = band_convolver(g, all, blocked);
  const int bands = int((whole->workspace_bytes() + kMaxWorkspaceBytes - 1) / kMaxWorkspaceBytes);
  // At other strides, or with padding wider than the kernel, a band needs other rows than those
  // computed above.
  const bool plain_kernel = g.sh == 1 && g.ph < (g.kh - 1) * g.dh + 1;
  if (bands == 1 || !plain_kernel || g.oh < 8 * bands) return whole;
  try {
    return std::make_unique<BandedConvolver>(g, blocked, bands);
  } catch (const dnnl::error&) {
    return whole;
  }
}

}  // namespace fcn
